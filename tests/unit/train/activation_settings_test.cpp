// Every way to set an activation trains; what makes no sense is refused with the reason before anything runs.

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <regulon/error.h>

#include <cmath>
#include <string>
#include <vector>

#include "core/config/config.h"
#include "core/plugin/host.h"
#include "core/train/trainer.h"
#include "tests/unit/support/expect_error.h"

namespace regulon::core {
namespace {

constexpr std::int64_t kSettingSteps = 30;

at::Tensor batch_at(std::int64_t step) {
  const at::TensorOptions options(at::kFloat);
  const at::Tensor directions = at::randn({8, 10}, named_generator(7, "directions"), options);
  const at::Tensor amounts =
      at::randn({64, 8}, named_generator(7, fmt::format("batch{}", step)), options).sub(0.5).relu();
  return at::matmul(amounts, directions);
}

class ActivationSettings : public ::testing::Test {
 protected:
  Config config(const std::string& encoder, const std::string& more = "") {
    const std::string text = fmt::format(
        "[run]\nsteps = {}\n[data]\nsource = \"toy.pairs\"\nbatch = 64\n[model]\nfeatures = 24\n"
        "[optimiser]\nlearning_rate = 1e-2\n[encoder]\n{}\n[[loss]]\nplugin = \"mse\"\n{}\n",
        kSettingSteps, encoder, more);
    return parse_config(text, "test.toml", {}, host_);
  }

  /// Everything learnt after kSettingSteps, which all moved and is finite.
  at::Tensor train(const Config& config) {
    Trainer trainer(config, host_, batch_at(-1));
    std::vector<at::Tensor> before;
    for (const auto& parameter : trainer.model().parameters())
      before.push_back(parameter.tensor.detach().clone());
    for (std::int64_t step = 0; step < kSettingSteps; ++step) {
      Report report;
      trainer.step(batch_at(step), &report);
      EXPECT_TRUE(std::isfinite(report.loss)) << step;
      last_ = report;
    }
    trainer.require_finite();
    std::vector<at::Tensor> all;
    for (std::size_t i = 0; i < before.size(); ++i) {
      const Parameter& parameter = trainer.model().parameters()[i];
      EXPECT_GT((parameter.tensor.detach() - before[i]).abs().max().item<double>(), 1e-6) << parameter.name;
      all.push_back(parameter.tensor.detach().reshape({-1}).clone());
    }
    return at::cat(all);
  }

  void expect_refused(const std::string& encoder, const std::string& more,
                      const std::vector<std::string>& parts) {
    tests::expect_error<InputError>([&] { config(encoder, more); }, parts);
  }

  PluginHost host_{{std::filesystem::path(REGULON_BUILD_DIR) / "plugins"}};
  Report last_;
};

constexpr char kCost[] = "[cost]\nplugin = \"log_rarity\"\naveraging = 0.9\n";

TEST_F(ActivationSettings, EveryRankingTrains) {
  for (const char* encoder : {"linear", "gated"}) {
    const std::string gate =
        encoder == std::string("gated") ? "[[loss]]\nplugin = \"gated_auxiliary\"\n" : "";
    for (const char* activation : {"topk", "batch_topk"}) {
      const auto with = [&](const std::string& lines, const std::string& more) {
        SCOPED_TRACE(fmt::format("{} {} {}", encoder, activation, lines));
        return train(
            config(fmt::format("plugin = \"{}\"\nactivation = \"{}\"\nk = 3\n{}", encoder, activation, lines),
                   gate + more));
      };
      const at::Tensor plain = with("", "");
      EXPECT_FALSE(at::equal(plain, with("cost_in_selection = \"subtract\"\ncost_weight = 0.5", kCost)));
      EXPECT_LE(last_.l0, 3.0);
      EXPECT_FALSE(at::equal(plain, with("cost_in_selection = \"divide\"", kCost)));
      // Costs of log_rarity lie around one: so does the number that the budget pays for.
      EXPECT_NEAR(last_.l0, 3.0, 1.0);
      EXPECT_TRUE(at::equal(plain, with("rescale_by_decoder_norm = true", ""))) << "all norms are one";
    }
  }
}

TEST_F(ActivationSettings, EveryWayToLearnThetaTrains) {
  std::vector<at::Tensor> ends;
  for (const char* lines :
       {"learn = \"log\"", "learn = \"linear\"", "kernel = \"triangle\"", "kernel = \"epanechnikov\"",
        "kernel = \"quartic\"", "kernel = \"cosine\"", "kernel = \"gaussian\"", "gradient_to_input = true"}) {
    for (const char* encoder : {"linear", "gated"}) {
      SCOPED_TRACE(fmt::format("{} {}", encoder, lines));
      const std::string gate =
          encoder == std::string("gated") ? "[[loss]]\nplugin = \"gated_auxiliary\"\n" : "";
      ends.push_back(train(config(
          fmt::format("plugin = \"{}\"\nactivation = \"jumprelu\"\nthreshold = 0.1\nbandwidth = 0.5\n{}",
                      encoder, lines),
          gate + "[[loss]]\nplugin = \"l0\"\nweight = 0.05\n")));
    }
  }
  for (std::size_t i = 0; i + 2 < ends.size(); i += 2) EXPECT_FALSE(at::equal(ends[i], ends[i + 2])) << i;
}

TEST_F(ActivationSettings, ThresholdsAndKMayBeScheduled) {
  train(config("plugin = \"linear\"\nactivation = \"topk\"\nk = { from = 12, to = 2, over = 20 }"));
  EXPECT_LE(last_.l0, 2.0);
  train(config("plugin = \"linear\"\nthreshold = { from = 0.0, to = 1.0, over = 20 }"));
  const double thresholded = last_.l0;
  train(config("plugin = \"linear\""));
  EXPECT_LT(thresholded, last_.l0 - 1);
}

TEST_F(ActivationSettings, StartAtAnL0FromData) {
  const std::string jump = "activation = \"jumprelu\"\nthreshold_l0 = 3";
  const std::string linear = "plugin = \"linear\"\n";
  const std::string gated = "plugin = \"gated\"\n";
  // A gate's bias shifts what theta is held against, but not the magnitudes.
  for (const std::string& lines :
       {linear + "initial_l0 = 3", linear + jump, gated + jump, gated + "initial_l0 = 6\n" + jump}) {
    Trainer trainer(config(lines), host_, batch_at(-1));
    Report report;
    trainer.step(batch_at(-1), &report);  // the sample: what lies at the level itself does not pass
    EXPECT_NEAR(report.l0, 3.0, 0.05) << lines;
  }
  Trainer plain(config("plugin = \"linear\""), host_, batch_at(-1));
  Report report;
  plain.step(batch_at(0), &report);
  EXPECT_GT(report.l0, 8.0);
}

TEST_F(ActivationSettings, SenselessOnesAreRefused) {
  const std::string linear = "plugin = \"linear\"\n";
  expect_refused(linear + "activation = \"topk\"\nk = 25", "", {"'k'", "at most 24", "25"});
  expect_refused(linear + "activation = \"batch_topk\"\nk = { from = 30, to = 2, over = 20 }", "",
                 {"'k'", "at most 24", "30"});
  expect_refused(linear + "activation = \"jumprelu\"\nthreshold = -0.1", "", {"'threshold'", "-0.1"});
  expect_refused(linear + "activation = \"jumprelu\"\nlearn = \"linear\"\nthreshold = 0", "",
                 {"'threshold'"});
  expect_refused(linear + "activation = \"jumprelu\"\nbandwidth = 0", "", {"'bandwidth'"});
  expect_refused(linear + "activation = \"jumprelu\"\nkernel = \"cauchy\"", "", {"'kernel'", "gaussian"});
  expect_refused(linear + "threshold = -1", "", {"'threshold'", "-1"});
  expect_refused(linear + "activation = \"topk\"\nk = 3\ncost_weight = -1", "", {"'cost_weight'", "-1"});
  expect_refused(linear + "activation = \"topk\"\nk = 3", kCost, {"nothing reads the costs"});
  expect_refused(linear, "[[loss]]\nplugin = \"gated_auxiliary\"\n", {"needs 'codes.gate'", "gated"});
  expect_refused(linear, "[[loss]]\nplugin = \"gate_l1\"\n", {"needs 'codes.gate'", "gated"});
  expect_refused(linear + "activation = \"topk\"\nk = 3", "[[loss]]\nplugin = \"l0\"\n",
                 {"needs 'codes.open'", "jumprelu"});
}

}  // namespace
}  // namespace regulon::core
