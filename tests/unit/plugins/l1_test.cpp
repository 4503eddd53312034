#include <gtest/gtest.h>
#include <regulon/loss_term.h>

#include <cmath>

#include "tests/unit/support/gradients.h"
#include "tests/unit/support/load_plugin.h"
#include "tests/unit/support/toy_step.h"

namespace regulon {
namespace {

using tests::ToyStep;

std::unique_ptr<LossTerm> l1(const std::string& norms) {
  return tests::make_plugin<LossTerm>("l1", {{"decoder_norms", norms}});
}

double expected(const ToyStep& toy, bool with_norms) {
  const at::Tensor codes = toy.dense();
  double total = 0;
  for (std::int64_t i = 0; i < ToyStep::kFeatures; ++i) {
    double squares = 0;
    for (std::int64_t j = 0; j < ToyStep::kWidth; ++j)
      squares += std::pow(toy.weight[i][j].item<double>(), 2);
    const double price = toy.costs[i].item<double>() * (with_norms ? std::sqrt(squares) : 1.0);
    for (std::int64_t row = 0; row < ToyStep::kRows; ++row) total += price * codes[row][i].item<double>();
  }
  return total / ToyStep::kRows;
}

TEST(L1, WeighsValuesByTheirCost) {
  const ToyStep toy;
  const at::Tensor value = l1("off")->value(toy.view());
  EXPECT_EQ(value.dim(), 0);
  EXPECT_NEAR(value.item<double>(), expected(toy, false), 1e-12);
  EXPECT_NEAR(l1("on")->value(toy.view()).item<double>(), expected(toy, true), 1e-12);
}

TEST(L1, TakesDecoderNormsInWhenTheyAreFree) {
  ToyStep toy;
  toy.unit_norm = false;
  EXPECT_NEAR(l1("auto")->value(toy.view()).item<double>(), expected(toy, true), 1e-12);
  toy.unit_norm = true;
  EXPECT_NEAR(l1("auto")->value(toy.view()).item<double>(), expected(toy, false), 1e-12);
  EXPECT_NEAR(l1("on")->value(toy.view()).item<double>(), expected(toy, true), 1e-12);
}

TEST(L1, DoesNotDependOnTheScaleSplitWhenNormsAreIn) {
  ToyStep toy;
  const double before = l1("on")->value(toy.view()).item<double>();
  toy.weight = (toy.weight.detach() * 4).requires_grad_(true);
  toy.values = (toy.values.detach() / 4).requires_grad_(true);
  EXPECT_NEAR(l1("on")->value(toy.view()).item<double>(), before, 1e-12);
}

TEST(L1, Gradients) {
  const ToyStep toy;
  const auto with_norms = l1("on");
  const auto value = [&] { return with_norms->value(toy.view()); };
  tests::expect_gradient(value, toy.values, "code values");
  tests::expect_gradient(value, toy.weight, "dictionary weight");
  const auto without = l1("off");
  const auto plain = [&] { return without->value(toy.view()); };
  tests::expect_gradient(plain, toy.values, "code values");
  EXPECT_EQ(tests::autograd_gradient(plain, toy.weight).abs().max().item<double>(), 0.0);
}

}  // namespace
}  // namespace regulon
