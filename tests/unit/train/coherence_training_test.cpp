/// A run whose decoder is kept under a cap, from the config to the rows.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <string>

#include "core/config/config.h"
#include "core/plugin/host.h"
#include "core/train/trainer.h"

namespace regulon::core::coherence_training_test {
namespace {

constexpr char kCapConfig[] = R"(
[run]
steps = 20
[data]
source = "toy.pairs"
batch = 64
[model]
features = 24
[optimiser]
learning_rate = 3e-2
[encoder]
plugin = "linear"
activation = "relu"
[[loss]]
plugin = "mse"
[[loss]]
plugin = "coherence_cap"
projection = true
mu = 0.45
every = 5
)";

at::Tensor batch_of(std::int64_t step) {
  return at::randn({64, 12}, named_generator(9, "cap" + std::to_string(step)), at::TensorOptions(at::kFloat));
}

double coherence(const at::Tensor& weight) {
  const at::Tensor rows = weight.detach().to(at::kDouble);
  const at::Tensor unit = rows / rows.norm(2, 1, true);
  return unit.matmul(unit.t()).fill_diagonal_(0).abs().max().item<double>();
}

TEST(CoherenceTraining, TheDecoderIsUnderTheCapAtEveryFifthStep) {
  PluginHost host({std::filesystem::path(REGULON_BUILD_DIR) / "plugins"});
  for (const std::string keep : {"true", "false"}) {
    const Config config = parse_config(kCapConfig, "cap.toml", {"model.unit_norm=" + keep}, host);
    Trainer trainer(config, host, batch_of(-1));
    double highest = 0;
    for (std::int64_t step = 0; step < 20; ++step) {
      const bool due = (step + 1) % 5 == 0;
      Report report;
      trainer.step(batch_of(step), due ? &report : nullptr);
      const double found = coherence(trainer.model().dictionary().weight());
      highest = std::max(highest, found);
      if (!due) continue;
      EXPECT_LE(found, 0.45 + 1e-4 + 1e-6) << step;
      EXPECT_NEAR(report.figures.at("coherence_cap.coherence"), found, 1e-5) << step;
    }
    EXPECT_GT(highest, 0.47) << "there was nothing to cap";
  }
}

TEST(CoherenceTraining, AWeightOfZeroIsTheControl) {
  PluginHost host({std::filesystem::path(REGULON_BUILD_DIR) / "plugins"});
  const Config off = parse_config(kCapConfig, "cap.toml", {"loss.coherence_cap.weight=0"}, host);
  const Config never = parse_config(kCapConfig, "cap.toml", {"loss.coherence_cap.every=100"}, host);
  Trainer without(off, host, batch_of(-1));
  Trainer control(never, host, batch_of(-1));
  for (std::int64_t step = 0; step < 10; ++step) {
    without.step(batch_of(step), nullptr);
    control.step(batch_of(step), nullptr);
  }
  EXPECT_TRUE(without.model().dictionary().weight().equal(control.model().dictionary().weight()));
}

TEST(CoherenceTraining, ACapBelowTheWelchBoundIsRefusedAtTheFirstTurn) {
  PluginHost host({std::filesystem::path(REGULON_BUILD_DIR) / "plugins"});
  const Config config = parse_config(kCapConfig, "cap.toml", {"loss.coherence_cap.mu=0.2"}, host);
  Trainer trainer(config, host, batch_of(-1));
  for (std::int64_t step = 0; step < 4; ++step) trainer.step(batch_of(step), nullptr);
  try {
    trainer.step(batch_of(4), nullptr);
    ADD_FAILURE() << "24 rows in 12 dimensions have a coherence of .2085 at least";
  } catch (const RunError& error) {
    EXPECT_NE(std::string(error.what()).find("0.2085"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace regulon::core::coherence_training_test
