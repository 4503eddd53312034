/// Ten thousand steps of a whole run in which an orthogonality term of negative weight pulls features
/// together.

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/config/config.h"
#include "core/plugin/host.h"
#include "core/train/trainer.h"

namespace regulon::core::negative_weight_test {
namespace {

constexpr std::int64_t kSteps = 10000;
constexpr std::int64_t kEvery = 500;
constexpr std::int64_t kWidth = 12;
constexpr std::int64_t kFeatures = 24;

constexpr char kNegativeConfig[] = R"(
[run]
steps = 10000
[data]
source = "toy.pairs"
batch = 64
[model]
features = 24
[optimiser]
learning_rate = 3e-3
[encoder]
plugin = "linear"
activation = "topk"
k = 3
[[loss]]
plugin = "mse"
[[loss]]
plugin = "orthogonality"
weight = -0.3
)";

/// Rows that are sums of about three of `kFeatures` random directions: the batches of a run, again and again.
std::vector<at::Tensor> toy_batches() {
  const at::TensorOptions options(at::kFloat);
  const at::Tensor directions = at::randn({kFeatures, kWidth}, named_generator(1, "directions"), options);
  const at::Tensor units = directions / directions.norm(2, {1}, true);
  std::vector<at::Tensor> batches;
  for (int i = 0; i < 100; ++i) {
    const auto draw = named_generator(2, fmt::format("batch{}", i));
    const at::Tensor active = at::rand({64, kFeatures}, draw, options) < 3.0 / kFeatures;
    batches.push_back((at::rand({64, kFeatures}, draw, options) * active).matmul(units));
  }
  return batches;
}

/// The largest |cosine| of each row with another.
at::Tensor nearest(const at::Tensor& weight) {
  const at::Tensor rows = weight.detach().to(at::kDouble);
  const at::Tensor units = rows / rows.norm(2, {1}, true);
  return units.matmul(units.t()).fill_diagonal_(0).abs().amax(1);
}

/// Trains and expects that all stays finite, and of use. Returns what rows are to their nearest in the end.
at::Tensor expect_to_train(const std::vector<std::string>& settings) {
  PluginHost host({std::filesystem::path(REGULON_BUILD_DIR) / "plugins"});
  const Config config = parse_config(kNegativeConfig, "negative.toml", settings, host);
  const std::vector<at::Tensor> batches = toy_batches();
  Trainer trainer(config, host, batches[0]);
  const double before = nearest(trainer.model().dictionary().weight()).mean().item<double>();
  for (std::int64_t step = 0; step < kSteps; ++step) {
    const bool due = (step + 1) % kEvery == 0;
    Report report;
    trainer.step(batches[static_cast<std::size_t>(step) % batches.size()], due ? &report : nullptr);
    if (!due) continue;
    EXPECT_NO_THROW(trainer.require_finite()) << step;
    EXPECT_TRUE(std::isfinite(report.loss)) << step;
    EXPECT_TRUE(std::isfinite(report.gradient_norm)) << step;
    EXPECT_LT(report.fvu, 1) << step;
    // No pair is worth more than phi(1) = 1.
    EXPECT_LE(report.terms.at(1).value, 1 + 1e-5) << step;
  }
  const at::Tensor after = nearest(trainer.model().dictionary().weight());
  EXPECT_GT(after.mean().item<double>(), before) << "nothing was pulled together";
  EXPECT_LE(after.max().item<double>(), 1 + 1e-5);
  return after;
}

TEST(NegativeWeight, StaysFiniteOverTenThousandStepsUnderACap) {
  const at::Tensor after =
      expect_to_train({"loss.orthogonality.shape=\"square\"", "loss.orthogonality.cap=0.8"});
  // Above the cap nothing pulls.
  EXPECT_LT(after.mean().item<double>(), 0.9);
}

TEST(NegativeWeight, StaysFiniteOverTenThousandStepsWithoutOne) {
  expect_to_train({"loss.orthogonality.shape=\"linear\""});
}

}  // namespace
}  // namespace regulon::core::negative_weight_test
