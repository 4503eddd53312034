/// The penalties that look at one code at a time: p_norm, tanh, log, sqrt.

#include <gtest/gtest.h>
#include <regulon/loss_term.h>

#include <cmath>
#include <functional>

#include "tests/unit/support/gradients.h"
#include "tests/unit/support/load_plugin.h"
#include "tests/unit/support/toy_step.h"

namespace regulon {
namespace {

using tests::ToyStep;
using Settings = std::map<std::string, ParamValue>;

/// A penalty and, written down anew, what it makes of one value.
struct Penalty {
  std::string plugin;
  Settings settings;
  std::function<double(double)> phi;
};

std::vector<Penalty> penalties() {
  return {
      {"p_norm", {}, [](double f) { return f; }},
      {"p_norm",
       {{"p", 0.2}, {"smoothing", 0.01}},
       [](double f) { return std::exp(0.2 * std::log(f + 0.01)) - std::exp(0.2 * std::log(0.01)); }},
      {"p_norm", {{"p", 2.0}, {"smoothing", 1e-9}}, [](double f) { return f * f; }},
      {"tanh", {}, [](double f) { return 1 - 2 / (std::exp(8 * f) + 1); }},
      {"tanh", {{"scale", 0.5}}, [](double f) { return 1 - 2 / (std::exp(f) + 1); }},
      {"log", {}, [](double f) { return std::log(f + 0.1) - std::log(0.1); }},
      {"log", {{"offset", 2.0}}, [](double f) { return std::log(f + 2) - std::log(2.0); }},
      {"sqrt", {}, [](double f) { return std::pow(f + 1e-4, 0.5) - 0.01; }},
  };
}

std::unique_ptr<LossTerm> made(const Penalty& penalty, const std::string& norms) {
  Settings settings = penalty.settings;
  settings["decoder_norms"] = norms;
  return tests::make_plugin<LossTerm>(penalty.plugin, settings);
}

double expected(const ToyStep& toy, const Penalty& penalty, bool with_norms) {
  const at::Tensor codes = toy.dense();
  double total = 0;
  for (std::int64_t i = 0; i < ToyStep::kFeatures; ++i) {
    double squares = 0;
    for (std::int64_t j = 0; j < ToyStep::kWidth; ++j)
      squares += std::pow(toy.weight[i][j].item<double>(), 2);
    const double norm = with_norms ? std::sqrt(squares) : 1.0;
    for (std::int64_t row = 0; row < ToyStep::kRows; ++row) {
      const double f = codes[row][i].item<double>();
      if (f > 0) total += toy.costs[i].item<double>() * penalty.phi(f * norm);
    }
  }
  return total / ToyStep::kRows;
}

TEST(Penalties, AreTheirFormulaAtTheCosts) {
  const ToyStep toy;
  for (const Penalty& penalty : penalties()) {
    const at::Tensor value = made(penalty, "off")->value(toy.view());
    EXPECT_EQ(value.dim(), 0) << penalty.plugin;
    EXPECT_NEAR(value.item<double>(), expected(toy, penalty, false), 1e-7) << penalty.plugin;
    EXPECT_NEAR(made(penalty, "on")->value(toy.view()).item<double>(), expected(toy, penalty, true), 1e-7)
        << penalty.plugin;
  }
}

TEST(Penalties, TakeDecoderNormsInWhenTheyAreFree) {
  ToyStep toy;
  for (const Penalty& penalty : penalties()) {
    toy.unit_norm = false;
    EXPECT_NEAR(made(penalty, "auto")->value(toy.view()).item<double>(), expected(toy, penalty, true), 1e-7);
    toy.unit_norm = true;
    EXPECT_NEAR(made(penalty, "auto")->value(toy.view()).item<double>(), expected(toy, penalty, false), 1e-7);
  }
}

TEST(Penalties, Gradients) {
  const ToyStep toy;
  for (const Penalty& penalty : penalties()) {
    const auto with_norms = made(penalty, "on");
    const auto value = [&] { return with_norms->value(toy.view()); };
    tests::expect_gradient(value, toy.values, penalty.plugin + ": code values");
    tests::expect_gradient(value, toy.weight, penalty.plugin + ": dictionary weight");
    const auto without = made(penalty, "off");
    const auto plain = [&] { return without->value(toy.view()); };
    tests::expect_gradient(plain, toy.values, penalty.plugin + ": code values");
    EXPECT_EQ(tests::autograd_gradient(plain, toy.weight).abs().max().item<double>(), 0.0);
  }
}

TEST(Penalties, AreZeroWithAFiniteSlopeWhereACodeIsZero) {
  ToyStep toy;
  toy.values = at::zeros({9}, at::kDouble).requires_grad_(true);  // near misses
  for (const Penalty& penalty : penalties()) {
    const auto term = made(penalty, "on");
    EXPECT_EQ(term->value(toy.view()).item<double>(), 0.0) << penalty.plugin;
    const at::Tensor slope = tests::autograd_gradient([&] { return term->value(toy.view()); }, toy.values);
    EXPECT_TRUE(slope.isfinite().all().item<bool>()) << penalty.plugin;
  }
}

TEST(Penalties, BearABatchWithoutCodes) {
  ToyStep toy;
  toy.values = at::zeros({0}, at::kDouble).requires_grad_(true);
  toy.feature_ids = at::zeros({0}, at::kInt);
  toy.row_offsets = at::zeros({ToyStep::kRows + 1}, at::kLong);
  for (const Penalty& penalty : penalties()) {
    const at::Tensor value = made(penalty, "auto")->value(toy.view());
    EXPECT_EQ(value.item<double>(), 0.0) << penalty.plugin;
    EXPECT_TRUE(value.requires_grad()) << penalty.plugin;
  }
}

TEST(Penalties, SmallPowersCountFeatures) {
  const ToyStep toy;
  ToyStep scaled;
  scaled.values = (toy.values.detach() * 5).requires_grad_(true);
  const auto ratio = [&](double p) {
    const auto term = tests::make_plugin<LossTerm>(
        "p_norm", {{"p", p}, {"smoothing", 1e-12}, {"decoder_norms", std::string("off")}});
    return term->value(scaled.view()).item<double>() / term->value(toy.view()).item<double>();
  };
  EXPECT_NEAR(ratio(1.0), 5.0, 1e-6);
  EXPECT_NEAR(ratio(0.5), std::sqrt(5.0), 1e-4);
  EXPECT_LT(ratio(0.05), 1.1 * std::pow(5.0, 0.05));
}

/// What is wrong with `value` for parameter `name` of `plugin`.
std::string refusal(const std::string& plugin, const std::string& name, double value) {
  const PluginDescriptor descriptor = tests::load_plugin(plugin);
  for (const ParamSpec& spec : descriptor.params) {
    if (spec.name == name) return violation(spec, ParamValue(value));
  }
  throw std::runtime_error("no parameter " + name);
}

TEST(Penalties, RefuseParametersOutOfRange) {
  for (const double p : {0.0, -1.0, 2.5}) EXPECT_NE(refusal("p_norm", "p", p), "") << p;
  for (const double p : {0.2, 1.0, 2.0}) EXPECT_EQ(refusal("p_norm", "p", p), "") << p;
  EXPECT_NE(refusal("p_norm", "smoothing", 0.0), "");
  EXPECT_NE(refusal("sqrt", "smoothing", 0.0), "");
  EXPECT_NE(refusal("tanh", "scale", 0.0), "");
  EXPECT_NE(refusal("log", "offset", 0.0), "");
}

}  // namespace
}  // namespace regulon
