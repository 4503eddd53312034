#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <regulon/loss_term.h>

#include <cmath>

#include "tests/unit/support/expect_error.h"
#include "tests/unit/support/gradients.h"
#include "tests/unit/support/load_plugin.h"
#include "tests/unit/support/toy_step.h"

namespace regulon {
namespace {

using tests::ToyStep;
using Settings = std::map<std::string, ParamValue>;
using Widths = std::vector<std::int64_t>;

std::unique_ptr<LossTerm> matryoshka(const Settings& settings, std::int64_t features = ToyStep::kFeatures) {
  auto term = tests::make_plugin<LossTerm>("matryoshka", settings);
  Preparation preparation;
  preparation.features = features;
  preparation.width = ToyStep::kWidth;
  term->prepare(preparation);
  return term;
}

/// The squared error of the first `width` features alone.
double error_of_prefix(const ToyStep& toy, std::int64_t width) {
  const at::Tensor codes = toy.dense();
  double total = 0;
  for (std::int64_t row = 0; row < ToyStep::kRows; ++row) {
    for (std::int64_t j = 0; j < ToyStep::kWidth; ++j) {
      double found = toy.bias[j].item<double>();
      for (std::int64_t i = 0; i < width; ++i)
        found += codes[row][i].item<double>() * toy.weight[i][j].item<double>();
      total += std::pow(toy.batch[row][j].item<double>() - found, 2);
    }
  }
  return total / ToyStep::kRows;
}

double sum_of(const ToyStep& toy, const Widths& widths) {
  double sum = 0;
  for (const std::int64_t width : widths) sum += error_of_prefix(toy, width);
  return sum;
}

TEST(Matryoshka, SumsTheErrorsOfThePrefixes) {
  const ToyStep toy;
  const Widths widths = {1, 3, 6, 7};
  const double sum = sum_of(toy, widths);
  EXPECT_NEAR(matryoshka({{"widths", widths}})->value(toy.view()).item<double>(), sum, 1e-12);
  const auto mean = matryoshka({{"widths", widths}, {"reduction", std::string("mean")}});
  EXPECT_NEAR(mean->value(toy.view()).item<double>(), sum / 4, 1e-12);
}

TEST(Matryoshka, AllFeaturesComeLastByThemselves) {
  const ToyStep toy;
  EXPECT_NEAR(matryoshka({{"widths", Widths{2}}})->value(toy.view()).item<double>(), sum_of(toy, {2, 7}),
              1e-12);
  EXPECT_NEAR(matryoshka({{"widths", Widths{7}}})->value(toy.view()).item<double>(),
              tests::make_plugin<LossTerm>("mse")->value(toy.view()).item<double>(), 1e-12);
}

TEST(Matryoshka, TakesDenseCodes) {
  const ToyStep toy;
  StepInputs inputs{0,
                    11,
                    toy.batch,
                    Codes::dense(toy.dense()),
                    Dictionary(toy.weight, toy.bias, 0, false),
                    toy.costs,
                    FeatureStats{},
                    at::Tensor(),
                    {},
                    nullptr};
  EXPECT_NEAR(matryoshka({{"widths", Widths{2, 5}}})->value(StepView(inputs)).item<double>(),
              sum_of(toy, {2, 5, 7}), 1e-12);
}

TEST(Matryoshka, Gradients) {
  const ToyStep toy;
  const auto term = matryoshka({{"widths", Widths{1, 3}}});
  const auto value = [&] { return term->value(toy.view()); };
  tests::expect_gradient(value, toy.weight, "dictionary weight");
  tests::expect_gradient(value, toy.bias, "dictionary bias");
  tests::expect_gradient(value, toy.values, "code values");
}

TEST(Matryoshka, BearsABatchWithoutCodes) {
  ToyStep toy;
  toy.values = at::zeros({0}, at::kDouble).requires_grad_(true);
  toy.feature_ids = at::zeros({0}, at::kInt);
  toy.row_offsets = at::zeros({ToyStep::kRows + 1}, at::kLong);
  const double nothing = (toy.batch - toy.bias.detach()).pow(2).sum(1).mean().item<double>();
  EXPECT_NEAR(matryoshka({{"widths", Widths{2, 4}}})->value(toy.view()).item<double>(), 3 * nothing, 1e-12);
}

/// The step as it is drawn for with `seed`.
StepView seeded(const ToyStep& toy, std::uint64_t seed) {
  return StepView(StepInputs{0,
                             seed,
                             toy.batch,
                             Codes::sparse(ToyStep::kFeatures, toy.row_offsets, toy.feature_ids, toy.values),
                             Dictionary(toy.weight, toy.bias, 0, false),
                             toy.costs,
                             FeatureStats{},
                             at::Tensor(),
                             {},
                             nullptr});
}

TEST(Matryoshka, DrawsShortPrefixesMoreOften) {
  ToyStep toy;
  // Every feature is active somewhere, so that each width has an error of its own.
  toy.feature_ids = at::tensor({0, 2, 5, 4, 1, 6, 0, 3, 6}, at::kInt);
  const auto term = matryoshka({{"drawn", std::int64_t{2}}});
  constexpr int kDraws = 2000;
  std::vector<double> values(7, 0.0);
  for (std::int64_t width = 1; width < 7; ++width)
    values[static_cast<std::size_t>(width)] = sum_of(toy, {width, 7});
  std::vector<int> counts(7, 0);
  for (int draw = 0; draw < kDraws; ++draw) {
    const double value = term->value(seeded(toy, static_cast<std::uint64_t>(draw))).item<double>();
    for (std::size_t width = 1; width < 7; ++width) {
      if (std::abs(value - values[width]) < 1e-9) ++counts[width];
    }
  }
  int all = 0;
  for (std::size_t width = 1; width < 7; ++width) {
    const double w = static_cast<double>(width);
    const double chance = (std::sqrt(w) - std::sqrt(w - 1)) / std::sqrt(6.0);
    EXPECT_NEAR(counts[width], kDraws * chance, 5 * std::sqrt(kDraws * chance)) << width;
    all += counts[width];
  }
  EXPECT_EQ(all, kDraws);
}

TEST(Matryoshka, DrawsNoWidthTwiceAndTheSameForTheSameStep) {
  const ToyStep toy;
  const auto all = matryoshka({{"drawn", std::int64_t{100}}});
  EXPECT_NEAR(all->value(toy.view()).item<double>(), sum_of(toy, {1, 2, 3, 4, 5, 6, 7}), 1e-12);
  const auto some = matryoshka({{"drawn", std::int64_t{3}}});
  EXPECT_EQ(some->value(seeded(toy, 5)).item<double>(), some->value(seeded(toy, 5)).item<double>());
  const auto one = matryoshka({{"drawn", std::int64_t{1}}});
  EXPECT_NEAR(one->value(toy.view()).item<double>(), error_of_prefix(toy, 7), 1e-12);
}

TEST(Matryoshka, RefusesWidthsThatDoNotFit) {
  for (const Widths& widths : {Widths{3, 3}, Widths{1, 4, 2}}) {
    const auto term = tests::make_plugin<LossTerm>("matryoshka", {{"widths", widths}});
    tests::expect_error<InputError>([&] { term->needs(); }, {"do not grow", std::to_string(widths.back())});
  }
  tests::expect_error<InputError>(
      [] {
        matryoshka({{"widths", Widths{3, 8}}});
      },
      {"exceed the number of features", "at most 7", "8"});
  const PluginDescriptor descriptor = tests::load_plugin("matryoshka");
  EXPECT_NE(violation(descriptor.params.front(), ParamValue(Widths{0, 3})), "");
}

}  // namespace
}  // namespace regulon
