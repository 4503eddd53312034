#include "core/train/trainer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/config/config.h"
#include "core/plugin/host.h"

namespace regulon::core {
namespace {

constexpr char kStart[] = R"(
[run]
steps = 100
[data]
source = "toy.pairs"
batch = 64
[model]
features = 20
[optimiser]
learning_rate = 1e-2
[encoder]
plugin = "linear"
)";

/// Trains `steps` steps on a fixed stream and tells what came out.
struct Trained {
  at::Tensor weight;
  at::Tensor encoder;
  Report last;
};

at::Tensor noise_batch(std::int64_t step) {
  return at::rand({64, 12}, named_generator(7, fmt::format("batch{}", step)), at::TensorOptions(at::kFloat));
}

std::vector<std::filesystem::path> plugin_folder() {
  return {std::filesystem::path(REGULON_BUILD_DIR) / "plugins"};
}

/// Copies what the trainer owns, since it goes on changing.
Trained train(const std::string& losses, std::int64_t steps) {
  PluginHost host(plugin_folder());
  const Config config = parse_config(fmt::format("{}{}", kStart, losses), "test.toml", {}, host);
  Trainer trainer(config, host, noise_batch(-1));
  Trained trained;
  for (std::int64_t step = 0; step < steps; ++step) {
    Report report;
    trainer.step(noise_batch(step), &report);
    trained.last = report;
  }
  trained.weight = find_tensor(trainer.model().weights(), "decoder.weight").detach().clone();
  trained.encoder = find_tensor(trainer.model().weights(), "encoder.weight").detach().clone();
  return trained;
}

constexpr char kMse[] = "[[loss]]\nplugin = \"mse\"\n";

std::string with_term(const std::string& plugin, const std::string& keys) {
  return fmt::format("{}[[loss]]\nplugin = \"{}\"\n{}\n", kMse, plugin, keys);
}

TEST(Trainer, LossFallsAndEveryParameterMoves) {
  const Trained first = train(kMse, 1);
  const Trained later = train(kMse, 100);
  EXPECT_LT(later.last.fvu, 0.5 * first.last.fvu);
  EXPECT_GT((later.weight - first.weight).abs().max().item<double>(), 1e-3);
  EXPECT_GT((later.encoder - first.encoder).abs().max().item<double>(), 1e-3);
  EXPECT_LT((later.weight.norm(2, {1}) - 1).abs().max().item<double>(), 1e-6);
}

TEST(Trainer, RepeatsBitForBit) {
  const std::string losses = with_term("orthogonality", "weight = 0.5");
  EXPECT_TRUE(at::equal(train(losses, 20).weight, train(losses, 20).weight));
}

TEST(Trainer, NegativeWeightPushesTheOtherWay) {
  const auto nearest_mean = [](const at::Tensor& rows) {
    const at::Tensor cosines = at::matmul(rows, rows.t()).abs() - 2 * at::eye(rows.size(0));
    return cosines.amax(1).mean().item<double>();
  };
  const auto with_weight = [&](const std::string& weight) {
    return nearest_mean(train(with_term("orthogonality", fmt::format("weight = {}", weight)), 60).weight);
  };
  const double none = with_weight("0.0");
  EXPECT_LT(with_weight("3.0"), none - 0.02);
  EXPECT_GT(with_weight("-3.0"), none + 0.02);
}

TEST(Trainer, TermsThatRunNowAndThenAreRescaled) {
  const std::string losses = with_term("l1", "weight = 0.25\nevery = 4");
  const Trained off = train(losses, 2);  // the second step is not its turn
  ASSERT_EQ(off.last.terms.size(), 2U);
  EXPECT_FALSE(off.last.terms[1].ran);
  const Trained on = train(losses, 4);  // the fourth step
  ASSERT_TRUE(on.last.terms[1].ran);
  EXPECT_DOUBLE_EQ(on.last.terms[1].weighted, on.last.terms[1].value * 0.25 * 4);
  EXPECT_DOUBLE_EQ(on.last.loss, on.last.terms[0].weighted + on.last.terms[1].weighted);
}

TEST(Trainer, StateRestoresTheSameContinuation) {
  PluginHost host(plugin_folder());
  const Config config = parse_config(fmt::format("{}{}", kStart, kMse), "test.toml", {}, host);
  Trainer whole(config, host, noise_batch(-1));
  for (std::int64_t step = 0; step < 5; ++step) whole.step(noise_batch(step), nullptr);
  NamedTensors saved;
  for (const auto& [name, tensor] : whole.state()) saved.emplace_back(name, tensor.detach().clone());
  Trainer resumed(config, host, noise_batch(-1));
  resumed.load(saved, 5, "test");
  for (std::int64_t step = 5; step < 9; ++step) {
    whole.step(noise_batch(step), nullptr);
    resumed.step(noise_batch(step), nullptr);
  }
  const NamedTensors expected = whole.state();
  for (const auto& [name, tensor] : resumed.state()) {
    EXPECT_TRUE(at::equal(tensor, find_tensor(expected, name))) << name;
  }
}

TEST(Trainer, DecoderNormsAreFreeWhereTheConfigSaysSo) {
  PluginHost host(plugin_folder());
  const Config config =
      parse_config(fmt::format("{}{}", kStart, kMse), "test.toml", {"model.unit_norm=false"}, host);
  Trainer trainer(config, host, noise_batch(-1));
  for (std::int64_t step = 0; step < 20; ++step) trainer.step(noise_batch(step), nullptr);
  const at::Tensor weight = find_tensor(trainer.model().weights(), "decoder.weight").detach();
  EXPECT_GT((weight.norm(2, {1}) - 1).abs().max().item<double>(), 1e-3);
}

}  // namespace
}  // namespace regulon::core
