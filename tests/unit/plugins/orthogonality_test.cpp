#include <gtest/gtest.h>
#include <regulon/loss_term.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "tests/unit/support/gradients.h"
#include "tests/unit/support/load_plugin.h"
#include "tests/unit/support/toy_step.h"

namespace regulon {
namespace {

using tests::ToyStep;

std::unique_ptr<LossTerm> orthogonality(const std::string& pairs, const std::string& shape) {
  return tests::make_plugin<LossTerm>("orthogonality", {{"pairs", pairs}, {"shape", shape}});
}

/// |cos| of two rows, by its definition.
double cosine(const at::Tensor& weight, std::int64_t i, std::int64_t j) {
  double product = 0;
  double squares_i = 0;
  double squares_j = 0;
  for (std::int64_t c = 0; c < weight.size(1); ++c) {
    const double a = weight[i][c].item<double>();
    const double b = weight[j][c].item<double>();
    product += a * b;
    squares_i += a * a;
    squares_j += b * b;
  }
  return std::abs(product) / std::sqrt(squares_i * squares_j);
}

double expected(const at::Tensor& weight, bool nearest, bool square) {
  const std::int64_t n = weight.size(0);
  double total = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    double largest = 0;
    double sum = 0;
    for (std::int64_t j = 0; j < n; ++j) {
      if (i == j) continue;
      const double c = cosine(weight, i, j);
      largest = std::max(largest, c);
      sum += square ? c * c : c;
    }
    total += nearest ? (square ? largest * largest : largest) : sum / static_cast<double>(n - 1);
  }
  return total / static_cast<double>(n);
}

TEST(Orthogonality, ValuesAndGradients) {
  const ToyStep toy;
  for (const char* pairs : {"nearest", "all"}) {
    for (const char* shape : {"absolute", "square"}) {
      const std::string what = std::string(pairs) + " " + shape;
      const auto term = orthogonality(pairs, shape);
      const auto value = [&] { return term->value(toy.view()); };
      EXPECT_EQ(value().dim(), 0) << what;
      EXPECT_NEAR(
          value().item<double>(),
          expected(toy.weight.detach(), pairs == std::string("nearest"), shape == std::string("square")),
          1e-12)
          << what;
      tests::expect_gradient(value, toy.weight, what);
    }
  }
}

TEST(Orthogonality, IsZeroForOrthogonalRowsAndOneForEqualOnes) {
  ToyStep toy;
  for (const char* pairs : {"nearest", "all"}) {
    const auto term = orthogonality(pairs, "absolute");
    toy.weight = at::eye(ToyStep::kWidth, at::kDouble).slice(0, 0, 3).contiguous().requires_grad_(true);
    EXPECT_NEAR(term->value(toy.view()).item<double>(), 0.0, 1e-12);
    toy.weight = at::ones({3, ToyStep::kWidth}, at::kDouble).requires_grad_(true);
    EXPECT_NEAR(term->value(toy.view()).item<double>(), 1.0, 1e-12);
  }
}

TEST(Orthogonality, TiedNeighboursShareTheGradient) {
  ToyStep toy;
  // Rows 1 and 2 mirror each other in the second coordinate and are equally near to row 0.
  toy.weight = at::tensor({1.0, 0.0, 0.0, 0.0,  //
                           0.6, 0.8, 0.0, 0.0,  //
                           0.6, -0.8, 0.0, 0.0},
                          at::kDouble)
                   .view({3, 4})
                   .requires_grad_(true);
  const auto term = orthogonality("nearest", "absolute");
  const at::Tensor gradient = tests::autograd_gradient([&] { return term->value(toy.view()); }, toy.weight);
  EXPECT_NEAR(term->value(toy.view()).item<double>(), 0.6, 1e-12);
  EXPECT_NEAR(gradient[0][1].item<double>(), 0.0, 1e-12);
  EXPECT_NEAR(gradient[1][1].item<double>(), -gradient[2][1].item<double>(), 1e-12);
  // Row 1 has row 0 as its neighbour (weight 1/3) and is half a neighbour of row 0 (1/6): d cos / dy = -0.48.
  EXPECT_NEAR(gradient[1][1].item<double>(), -0.48 * (1.0 / 3 + 1.0 / 6), 1e-12);
}

TEST(Orthogonality, LeavesZeroRowsAlone) {
  ToyStep toy;
  at::Tensor weight = toy.weight.detach().clone();
  weight[2].zero_();
  toy.weight = weight.requires_grad_(true);
  for (const char* pairs : {"nearest", "all"}) {
    const auto term = orthogonality(pairs, "square");
    const at::Tensor gradient = tests::autograd_gradient([&] { return term->value(toy.view()); }, toy.weight);
    EXPECT_TRUE(gradient.isfinite().all().item<bool>()) << pairs;
    EXPECT_EQ(gradient[2].abs().max().item<double>(), 0.0) << pairs;
    EXPECT_GT(gradient.abs().max().item<double>(), 0.0) << pairs;
  }
}

TEST(Orthogonality, TwoTermsOfOneStepShareTheirNeighbours) {
  const ToyStep toy;
  const StepView view = toy.view();
  const auto refuse = []() -> std::vector<at::Tensor> { throw std::runtime_error("made again"); };
  EXPECT_THROW(view.once("nearest_neighbours(decoder)", refuse), std::runtime_error);
  orthogonality("nearest", "absolute")->value(view.for_term("one"));
  EXPECT_NO_THROW(view.for_term("two").once("nearest_neighbours(decoder)", refuse));
}

}  // namespace
}  // namespace regulon
