/// The squared errors on another scale: normalised_mse and weighted_mse.

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <regulon/loss_term.h>

#include <cmath>

#include "tests/unit/support/gradients.h"
#include "tests/unit/support/load_plugin.h"
#include "tests/unit/support/toy_step.h"

namespace regulon {
namespace {

using tests::ToyStep;

/// Squared error and squared norm of each row, and the sum of squared distances from the mean row.
struct ByRow {
  explicit ByRow(const ToyStep& toy) {
    const at::Tensor found = at::matmul(toy.dense(), toy.weight.detach()) + toy.bias.detach();
    for (std::int64_t row = 0; row < ToyStep::kRows; ++row) {
      double error = 0;
      double norm = 0;
      for (std::int64_t j = 0; j < ToyStep::kWidth; ++j) {
        const double x = toy.batch[row][j].item<double>();
        double mean = 0;
        for (std::int64_t other = 0; other < ToyStep::kRows; ++other)
          mean += toy.batch[other][j].item<double>() / ToyStep::kRows;
        error += std::pow(found[row][j].item<double>() - x, 2);
        norm += x * x;
        spread += (x - mean) * (x - mean);
      }
      errors.push_back(error);
      norms.push_back(norm);
    }
  }
  std::vector<double> errors;
  std::vector<double> norms;
  double spread = 0;
};

std::unique_ptr<LossTerm> normalised(const std::string& by) {
  return tests::make_plugin<LossTerm>("normalised_mse", {{"by", by}});
}

TEST(NormalisedMse, ByVarianceIsTheUnexplainedShare) {
  const ToyStep toy;
  const ByRow rows(toy);
  double total = 0;
  for (const double error : rows.errors) total += error;
  EXPECT_NEAR(normalised("variance")->value(toy.view()).item<double>(), total / rows.spread, 1e-12);
}

TEST(NormalisedMse, ByRowNormIsTheMeanRelativeError) {
  const ToyStep toy;
  const ByRow rows(toy);
  double expected = 0;
  for (std::size_t row = 0; row < rows.errors.size(); ++row)
    expected += rows.errors[row] / rows.norms[row] / ToyStep::kRows;
  EXPECT_NEAR(normalised("row_norm")->value(toy.view()).item<double>(), expected, 1e-12);
}

TEST(NormalisedMse, LeavesOutWhatHasNoScale) {
  ToyStep toy;
  toy.batch = toy.batch.clone();
  toy.batch[1].zero_();
  const ByRow rows(toy);
  double expected = 0;
  for (const std::size_t row : {0U, 2U, 3U, 4U})
    expected += rows.errors[row] / rows.norms[row] / ToyStep::kRows;
  EXPECT_NEAR(normalised("row_norm")->value(toy.view()).item<double>(), expected, 1e-12);
  toy.batch = at::ones({ToyStep::kRows, ToyStep::kWidth}, at::kDouble);
  EXPECT_EQ(normalised("variance")->value(toy.view()).item<double>(), 0.0);
}

TEST(NormalisedMse, Gradients) {
  const ToyStep toy;
  for (const char* by : {"variance", "row_norm"}) {
    const auto term = normalised(by);
    const auto value = [&] { return term->value(toy.view()); };
    tests::expect_gradient(value, toy.weight, "dictionary weight");
    tests::expect_gradient(value, toy.bias, "dictionary bias");
    tests::expect_gradient(value, toy.values, "code values");
  }
}

std::unique_ptr<LossTerm> weighted(double power, double floor = 1e-9) {
  return tests::make_plugin<LossTerm>("weighted_mse", {{"power", power}, {"floor", floor}});
}

TEST(WeightedMse, WeighsRowsByAPowerOfTheirNorm) {
  const ToyStep toy;
  const ByRow rows(toy);
  for (const double power : {-2.0, -1.0, 0.0, 1.5}) {
    double sum = 0;
    double weights = 0;
    for (std::size_t row = 0; row < rows.errors.size(); ++row) {
      const double weight = std::pow(std::sqrt(rows.norms[row]), power);
      sum += weight * rows.errors[row];
      weights += weight;
    }
    EXPECT_NEAR(weighted(power)->value(toy.view()).item<double>(), sum / weights, 1e-12) << power;
  }
}

TEST(WeightedMse, AtPowerZeroIsMse) {
  const ToyStep toy;
  EXPECT_NEAR(weighted(0)->value(toy.view()).item<double>(),
              tests::make_plugin<LossTerm>("mse")->value(toy.view()).item<double>(), 1e-12);
}

TEST(WeightedMse, ShortRowsCountAsTheFloor) {
  ToyStep toy;
  toy.batch = toy.batch.clone();
  toy.batch[2].zero_();
  const ByRow rows(toy);
  double mean = 0;
  for (const double norm : rows.norms) mean += std::sqrt(norm) / ToyStep::kRows;
  double sum = 0;
  double weights = 0;
  for (std::size_t row = 0; row < rows.errors.size(); ++row) {
    const double weight = 1 / std::max(std::sqrt(rows.norms[row]), 0.5 * mean);
    sum += weight * rows.errors[row];
    weights += weight;
  }
  EXPECT_NEAR(weighted(-1, 0.5)->value(toy.view()).item<double>(), sum / weights, 1e-12);
}

TEST(WeightedMse, BearsABatchOfZeros) {
  ToyStep toy;
  toy.batch = at::zeros({ToyStep::kRows, ToyStep::kWidth}, at::kDouble);
  EXPECT_NEAR(weighted(-2, 0.01)->value(toy.view()).item<double>(),
              tests::make_plugin<LossTerm>("mse")->value(toy.view()).item<double>(), 1e-12);
}

TEST(WeightedMse, Gradients) {
  const ToyStep toy;
  const auto term = weighted(-1, 0.01);
  const auto value = [&] { return term->value(toy.view()); };
  tests::expect_gradient(value, toy.weight, "dictionary weight");
  tests::expect_gradient(value, toy.bias, "dictionary bias");
  tests::expect_gradient(value, toy.values, "code values");
}

}  // namespace
}  // namespace regulon
