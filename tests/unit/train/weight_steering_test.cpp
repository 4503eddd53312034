/// Weights that follow the codes' L0: the controller alone, and in training.

#include "core/train/weight_steering.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "core/config/config.h"
#include "core/plugin/host.h"
#include "core/train/trainer.h"
#include "tests/unit/support/expect_error.h"

namespace regulon::core {
namespace {

/// A step of a stand-in for training: L0 nears gain / weight with a lag of a hundred steps.
double lagging(double l0, double weight, double gain) { return l0 * std::pow(gain / weight / l0, 0.01); }

TEST(WeightSteering, SettlesAtTheTargetFromEitherSideWithoutSwinging) {
  for (const double gain : {4.0, 400.0}) {
    WeightSteering steering(40);
    double l0 = 300;
    double largest = 0;
    for (int step = 0; step < 3000; ++step) {
      steering.observe(l0);
      l0 = lagging(l0, steering.factor(), gain);
      if (step > 1500) largest = std::max(largest, std::abs(std::log(l0 / 40)));
    }
    EXPECT_NEAR(steering.factor(), gain / 40, 0.01 * gain / 40);
    EXPECT_LT(largest, 0.02) << gain;
  }
}

TEST(WeightSteering, NoCodesAtAllLowerTheWeightAndStayFinite) {
  WeightSteering steering(8);
  EXPECT_EQ(steering.factor(), 1);
  for (int step = 0; step < 100; ++step) steering.observe(0);
  EXPECT_GT(steering.factor(), 0);
  EXPECT_LT(steering.factor(), 0.5);
}

constexpr char kUnsteered[] = R"(
[run]
steps = 600
[data]
source = "toy.pairs"
batch = 128
[model]
features = 64
[optimiser]
learning_rate = 3e-3
[encoder]
plugin = "linear"
[[loss]]
plugin = "mse"
[[loss]]
plugin = "l1"
weight = 0.3
)";

/// Eight directions active in a third of the rows each.
at::Tensor steered_batch(std::int64_t step) {
  const at::TensorOptions options(at::kFloat);
  const at::Tensor directions = at::randn({24, 16}, named_generator(7, "directions"), options);
  const at::Tensor amounts =
      at::randn({128, 24}, named_generator(7, fmt::format("batch{}", step)), options).sub(0.4).relu();
  return at::matmul(amounts, directions);
}

PluginHost plugins_of_the_build() {
  return PluginHost({std::filesystem::path(REGULON_BUILD_DIR) / "plugins"});
}

TEST(WeightSteering, TrainingReachesTheTarget) {
  PluginHost host = plugins_of_the_build();
  for (const int target : {6, 12}) {
    const std::string text = fmt::format("{}target_l0 = {}\n", kUnsteered, target);
    const Config config = parse_config(text, "test.toml", {}, host);
    Trainer trainer(config, host, steered_batch(-1));
    double sum = 0;
    for (std::int64_t step = 0; step < 600; ++step) {
      Report report;
      trainer.step(steered_batch(step), step >= 500 ? &report : nullptr);
      sum += report.l0;
    }
    EXPECT_NEAR(sum / 100, target, 0.1 * target);
  }
}

TEST(WeightSteering, NeedsAWeightToStartFrom) {
  PluginHost host = plugins_of_the_build();
  for (const char* weight : {"0.0", "-1.0", "{ from = 0.0, to = 1.0, over = 10 }"}) {
    std::string text = std::string(kUnsteered) + "target_l0 = 6\n";
    text.replace(text.find("0.3"), 3, weight);
    tests::expect_error<InputError>(
        [&] { static_cast<void>(parse_config(text, "test.toml", {}, host)); },
        {"test.toml:18", "a weight that is steered must be above zero", "first guess"});
  }
}

TEST(WeightSteering, AResumedRunGoesOnInTheSameBits) {
  PluginHost host = plugins_of_the_build();
  const Config config = parse_config(std::string(kUnsteered) + "target_l0 = 6\n", "test.toml", {}, host);
  Trainer whole(config, host, steered_batch(-1));
  for (std::int64_t step = 0; step < 20; ++step) whole.step(steered_batch(step), nullptr);
  NamedTensors saved;
  for (const auto& [name, tensor] : whole.state()) saved.emplace_back(name, tensor.detach().clone());
  EXPECT_NE(find_tensor(saved, "steering.l1").select(0, 0).item<double>(), 0);
  Trainer resumed(config, host, steered_batch(-1));
  resumed.load(saved, 20, "test");
  for (std::int64_t step = 20; step < 25; ++step) {
    whole.step(steered_batch(step), nullptr);
    resumed.step(steered_batch(step), nullptr);
  }
  const NamedTensors expected = whole.state();
  for (const auto& [name, tensor] : resumed.state()) {
    EXPECT_TRUE(at::equal(tensor, find_tensor(expected, name))) << name;
  }
}

}  // namespace
}  // namespace regulon::core
