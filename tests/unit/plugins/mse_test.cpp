#include <gtest/gtest.h>
#include <regulon/loss_term.h>

#include "tests/unit/support/gradients.h"
#include "tests/unit/support/load_plugin.h"
#include "tests/unit/support/toy_step.h"

namespace regulon {
namespace {

using tests::ToyStep;

double expected_sum(const ToyStep& toy) {
  const at::Tensor error = at::matmul(toy.dense(), toy.weight.detach()) + toy.bias.detach() - toy.batch;
  double total = 0;
  for (std::int64_t i = 0; i < error.numel(); ++i) {
    const double e = error.view(-1)[i].item<double>();
    total += e * e;
  }
  return total / ToyStep::kRows;
}

TEST(Mse, IsTheSumOverCoordinatesAndTheMeanOverRows) {
  const ToyStep toy;
  const at::Tensor value = tests::make_plugin<LossTerm>("mse")->value(toy.view());
  EXPECT_EQ(value.dim(), 0);
  EXPECT_NEAR(value.item<double>(), expected_sum(toy), 1e-12);
}

TEST(Mse, MayBeTheMeanOverBoth) {
  const ToyStep toy;
  const auto term = tests::make_plugin<LossTerm>("mse", {{"reduction", std::string("mean")}});
  EXPECT_NEAR(term->value(toy.view()).item<double>(), expected_sum(toy) / ToyStep::kWidth, 1e-12);
}

TEST(Mse, Gradients) {
  const ToyStep toy;
  for (const char* reduction : {"sum", "mean"}) {
    const auto term = tests::make_plugin<LossTerm>("mse", {{"reduction", std::string(reduction)}});
    const auto value = [&] { return term->value(toy.view()); };
    tests::expect_gradient(value, toy.weight, "dictionary weight");
    tests::expect_gradient(value, toy.bias, "dictionary bias");
    tests::expect_gradient(value, toy.values, "code values");
  }
}

}  // namespace
}  // namespace regulon
