#include <gtest/gtest.h>
#include <regulon/loss_term.h>

#include "tests/unit/support/gradients.h"
#include "tests/unit/support/load_plugin.h"
#include "tests/unit/support/toy_step.h"

namespace regulon {
namespace {

using tests::ToyStep;

TEST(HoyerSquare, IsTheSquaredRatioOfNormsAtTheCosts) {
  const ToyStep toy;
  const at::Tensor codes = toy.dense();
  double expected = 0;
  for (std::int64_t row = 0; row < ToyStep::kRows; ++row) {
    double priced = 0;
    double sum = 0;
    double squares = 0;
    for (std::int64_t i = 0; i < ToyStep::kFeatures; ++i) {
      const double f = codes[row][i].item<double>();
      priced += toy.costs[i].item<double>() * f;
      sum += f;
      squares += f * f;
    }
    if (squares > 0) expected += priced * sum / squares;  // a row without codes counts zero
  }
  const at::Tensor value = tests::make_plugin<LossTerm>("hoyer_square")->value(toy.view());
  EXPECT_EQ(value.dim(), 0);
  EXPECT_NEAR(value.item<double>(), expected / ToyStep::kRows, 1e-12);
}

TEST(HoyerSquare, CountsEqualValuesAtTheirCosts) {
  ToyStep toy;
  toy.values = at::full({9}, 0.3, at::kDouble).requires_grad_(true);
  const auto term = tests::make_plugin<LossTerm>("hoyer_square");
  const double priced = toy.costs.index_select(0, toy.feature_ids).sum().item<double>();
  EXPECT_NEAR(term->value(toy.view()).item<double>(), priced / 5, 1e-12);
  toy.costs = at::ones_like(toy.costs);
  // Rows of 3, 1, 2, 0 and 3 equal values.
  EXPECT_NEAR(term->value(toy.view()).item<double>(), 9.0 / 5, 1e-12);
}

TEST(HoyerSquare, Gradients) {
  const ToyStep toy;
  const auto term = tests::make_plugin<LossTerm>("hoyer_square");
  tests::expect_gradient([&] { return term->value(toy.view()); }, toy.values, "code values");
}

}  // namespace
}  // namespace regulon
