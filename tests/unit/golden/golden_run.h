#pragma once
/// Regulon on a peer's weights and batches, and what the peer made of them (tests/golden/make_fixtures.py).

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "core/config/config.h"
#include "core/io/safetensors.h"
#include "core/plugin/host.h"
#include "core/train/trainer.h"

namespace regulon::core {

/// Both sides compute in float32 and sum in different orders. Values and gradients agree to a few roundings
/// of their largest element; ten Adam steps divide gradients by their own size, which lets small ones differ
/// by more.
constexpr double kValueTolerance = 3e-6;
constexpr double kWeightTolerance = 2e-5;

/// Below this largest element all is rounding of what cancels.
constexpr double kLeastScale = 1e-7;

/// Expects |found - expected| <= tolerance * max |expected| everywhere.
inline void expect_close(const at::Tensor& found, const at::Tensor& expected, const std::string& what,
                         double tolerance = kValueTolerance) {
  ASSERT_TRUE(found.defined()) << what << " is missing";
  ASSERT_EQ(found.sizes(), expected.sizes()) << what;
  const double scale = std::max(kLeastScale, expected.abs().max().item<double>());
  const double worst = (found.detach() - expected).abs().max().item<double>();
  EXPECT_LE(worst, tolerance * scale) << what << ", of " << scale;
}

/// One fixture and a run with its first weights.
class GoldenRun {
 public:
  /// `config`: the [encoder] and [[loss]] tables, and what the peer does otherwise than the defaults below.
  GoldenRun(const std::string& fixture, const std::string& config)
      : fixture_(folder() / (fixture + ".safetensors")),
        batches_(SafetensorsFile(folder() / "batches.safetensors").tensor("batches").clone()),
        host_({std::filesystem::path(REGULON_BUILD_DIR) / "plugins"}),
        config_(parse_config(std::string(kShared) + config, fixture + ".toml", {}, host_)),
        trainer_(config_, host_, batches_[0]) {
    NamedTensors first;
    for (const auto& [name, tensor] : trainer_.model().weights()) {
      const bool given = fixture_.find("initial." + name) != nullptr;
      first.emplace_back(name, given ? expected("initial." + name) : tensor.detach().clone());
    }
    const at::NoGradGuard no_grad;
    trainer_.model().load(first, fixture);
  }

  at::Tensor expected(const std::string& name) const { return fixture_.tensor(name).clone(); }
  at::Tensor batch(std::int64_t step) const { return batches_[step]; }
  at::Tensor now(const std::string& name) { return find_tensor(trainer_.model().weights(), name).detach(); }
  Trainer& trainer() { return trainer_; }

  /// The first step's codes [B, n], reconstruction [B, d] and loss, with gradients left in the parameters.
  struct First {
    at::Tensor codes;
    at::Tensor reconstruction;
    at::Tensor loss;
  };
  First first_step() {
    Model& model = trainer_.model();
    const Dictionary dictionary = model.dictionary();
    EncodeRequest request;
    request.costs = at::ones({model.features()}, at::kFloat);
    request.training = true;
    Objective objective(config_, host_);
    Preparation outline;
    outline.features = model.features();
    outline.width = model.width();
    outline.batch_rows = config_.data.batch;
    outline.dictionary_weight = dictionary.weight().detach();
    outline.dictionary_bias = dictionary.bias().detach();
    outline.sample = batches_[0];
    objective.prepare(outline, 0);
    StepInputs inputs{0,
                      0,
                      batches_[0],
                      model.encode(batches_[0], dictionary, request),
                      dictionary,
                      request.costs,
                      trainer_.statistics(),
                      {},
                      model.encoder_parameters(),
                      [&](const Selection& selection) {
                        return model.encode_with(selection, batches_[0], dictionary, request);
                      }};
    const StepView view(std::move(inputs));
    const at::Tensor loss = objective.value(view, nullptr);
    loss.backward();
    return {view.codes().to_dense().detach(), view.reconstruction().detach(), loss.detach()};
  }

  /// Expects the parameters' gradients to be the peer's, but for those that the test names; then drops them.
  void expect_gradients(const std::vector<std::string>& but = {}) {
    std::size_t compared = 0;
    for (const auto& parameter : trainer_.model().parameters()) {
      if (std::find(but.begin(), but.end(), parameter.name) != but.end()) continue;
      expect_close(parameter.tensor.grad(), expected("step0.gradient." + parameter.name),
                   "gradient of " + parameter.name);
      ++compared;
    }
    EXPECT_GE(compared, 3U);
    for (const auto& parameter : trainer_.model().parameters()) {
      at::Tensor(parameter.tensor).mutable_grad() = at::Tensor();
    }
  }

  /// Codes, reconstruction, loss and gradients of the first step.
  void expect_first_step() {
    const First first = first_step();
    expect_close(first.codes, expected("step0.codes"), "codes");
    expect_close(first.reconstruction, expected("step0.reconstruction"), "reconstruction");
    expect_close(first.loss, expected("step0.loss"), "loss");
    expect_gradients();
  }

  /// Ten steps: the loss of each, and every weight afterwards.
  void expect_ten_steps() {
    const at::Tensor losses = expected("losses");
    for (std::int64_t step = 0; step < losses.size(0); ++step) {
      Report report;
      trainer_.step(batches_[step], &report);
      EXPECT_NEAR(report.loss / losses[step].item<double>(), 1, kWeightTolerance) << "loss of step " << step;
    }
    for (const auto& parameter : trainer_.model().parameters()) {
      const at::Tensor last = expected("final." + parameter.name);
      expect_close(parameter.tensor, last, parameter.name + " after ten steps", kWeightTolerance);
      const double moved = (last - expected("initial." + parameter.name)).abs().max().item<double>();
      EXPECT_GT(moved, 50 * kWeightTolerance) << parameter.name << " hardly moved: nothing is compared";
    }
  }

 private:
  static std::filesystem::path folder() {
    return std::filesystem::path(REGULON_SOURCE_DIR) / "tests" / "golden";
  }
  static constexpr const char* kShared = R"(
[run]
steps = 100
[data]
source = "toy.pairs"
batch = 32
)";

  SafetensorsFile fixture_;
  at::Tensor batches_;  ///< [10, 32, 16]
  PluginHost host_;
  Config config_;
  Trainer trainer_;
};

}  // namespace regulon::core
