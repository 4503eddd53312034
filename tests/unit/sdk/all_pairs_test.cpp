#include <regulon/error.h>
#include <regulon/pairs.h>

#include <cmath>
#include <string>
#include <vector>

#include "ops_reference.h"

namespace regulon {
namespace {

using ops::PairPenalty;
using Shape = PairPenalty::Shape;

/// phi by its formula, with autograd's gradient.
at::Tensor penalty_reference(const at::Tensor& cosines, const PairPenalty& penalty) {
  const at::Tensor sizes = (penalty.absolute ? cosines.abs() : cosines).clamp_max(penalty.cap);
  switch (penalty.shape) {
    case Shape::square:
      return sizes.clamp_min(0).square();
    case Shape::sigmoid: {
      const double low = 1 / (1 + std::exp(penalty.slope / 2));
      return (at::sigmoid(penalty.slope * (sizes - 0.5)) - low) / (1 - 2 * low);
    }
    case Shape::convex:
      return ((sizes - penalty.margin) / (1 - penalty.margin)).clamp_min(0).pow(penalty.steepness);
    case Shape::linear:
      break;
  }
  return sizes;
}

at::Tensor all_pairs_reference(const at::Tensor& rows, const PairPenalty& penalty,
                               const at::Tensor& chosen = {}, const ops::PairStrengths& strengths = {}) {
  const std::int64_t n = rows.size(0);
  at::Tensor costs = penalty_reference(at::mm(rows, rows.t()), penalty) * (1 - at::eye(n, rows.options()));
  if (strengths.of_rows.defined()) {
    const at::Tensor both = strengths.of_rows.unsqueeze(0) + strengths.of_rows.unsqueeze(1);
    costs = costs * both.pow(strengths.power);
  }
  const std::int64_t left = chosen.defined() ? chosen.size(0) : n;
  if (chosen.defined()) costs = costs.index_select(0, chosen);
  return costs.sum() / static_cast<double>(left * (n - 1));
}

/// Every shape with every choice that changes its formula.
std::vector<std::pair<std::string, PairPenalty>> penalties() {
  std::vector<std::pair<std::string, PairPenalty>> all;
  for (const bool absolute : {true, false}) {
    for (const double cap : {1.0, 0.3}) {
      const std::string kind = std::string(absolute ? "absolute" : "signed") + (cap < 1 ? "_capped" : "");
      const auto add = [&, absolute = absolute, cap = cap](const std::string& name, Shape shape,
                                                           double margin, double steepness) {
        all.push_back({name + "_" + kind, {shape, absolute, margin, steepness, 7, cap}});
      };
      add("linear", Shape::linear, 0, 2);
      add("square", Shape::square, 0, 2);
      add("sigmoid", Shape::sigmoid, 0, 2);
      add("convex", Shape::convex, 0.1, 2);
      add("cubed", Shape::convex, 0.05, 3);
    }
  }
  return all;
}

class PairPenalties : public ::testing::TestWithParam<std::pair<std::string, PairPenalty>> {
 protected:
  const PairPenalty& penalty() const { return GetParam().second; }
};

INSTANTIATE_TEST_SUITE_P(Shapes, PairPenalties, ::testing::ValuesIn(penalties()),
                         [](const auto& info) { return info.param.first; });

at::Tensor gradient_of(const at::Tensor& value, const at::Tensor& of) {
  return torch::autograd::grad({value}, {of})[0];
}

TEST_P(PairPenalties, OfListedPairsFollowTheirFormula) {
  at::manual_seed(21);
  // None at a kink: zero, the margins, the cap.
  const at::Tensor cosines =
      at::tensor({-1.0, -0.7, -0.31, -0.2, -0.03, 0.01, 0.07, 0.12, 0.29, 0.33, 0.5, 0.95, 1.0}, at::kDouble)
          .set_requires_grad(true);
  const at::Tensor weights = at::rand({13}, at::kDouble);
  const at::Tensor found = ops::pair_penalty(cosines, weights, penalty());
  const at::Tensor expected = (penalty_reference(cosines, penalty()) * weights).sum();
  EXPECT_NEAR(found.item<double>(), expected.item<double>(), 1e-12);
  EXPECT_TRUE(at::allclose(gradient_of(found * 3, cosines), gradient_of(expected * 3, cosines), 1e-9, 1e-12));
  test::expect_gradients(
      [&](const test::TensorList& in) { return ops::pair_penalty(in[0], weights, penalty()); }, {cosines});
}

TEST_P(PairPenalties, OfAllPairsAgreeWithTheWholeMatrix) {
  at::manual_seed(11);
  for (const auto& [n, d] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{2, 3}, {9, 20}, {40, 7}, {700, 16}}) {
    const at::Tensor rows = test::random_units(n, d).set_requires_grad(true);
    const ops::PairStrengths none;
    const ops::PairStrengths strong{at::rand({n}, at::kDouble), 1.5};
    for (const at::Tensor& chosen :
         {at::Tensor(), at::arange(n / 2, n, at::kLong), at::arange(0, n, 3, at::kLong)}) {
      for (const ops::PairStrengths& strengths : {none, strong}) {
        const at::Tensor expected = all_pairs_reference(rows, penalty(), chosen, strengths);
        const at::Tensor found = ops::all_pairs(rows, penalty(), chosen, strengths);
        EXPECT_NEAR(found.item<double>(), expected.item<double>(), 1e-12) << n << " x " << d;
        EXPECT_TRUE(at::allclose(gradient_of(found * 3, rows), gradient_of(expected * 3, rows), 1e-9, 1e-12))
            << n << " x " << d;
      }
    }
  }
}

TEST_P(PairPenalties, GradientsOfAllPairsAgreeWithDifferences) {
  at::manual_seed(12);
  for (const std::int64_t n : {2, 5, 17}) {
    test::expect_gradients([&](const test::TensorList& in) { return ops::all_pairs(in[0], penalty()); },
                           {test::random_units(n, 4)});
  }
}

TEST_P(PairPenalties, ThreadsDoNotShow) {
  at::manual_seed(13);
  for (const std::int64_t n : {5, 23, 130, 900}) {
    const at::Tensor rows = test::random_units(n, 100, at::kFloat).set_requires_grad(true);
    const at::Tensor some = at::arange(0, n, 2, at::kLong);
    std::vector<at::Tensor> values;
    std::vector<at::Tensor> gradients;
    for (const int threads : {1, 2, 3}) {
      const test::Threads limit(threads);
      values.push_back(ops::all_pairs(rows, penalty()) + ops::all_pairs(rows, penalty(), some));
      gradients.push_back(gradient_of(values.back(), rows));
      EXPECT_TRUE(test::same_bits(values.back(), values.front())) << n;
      EXPECT_TRUE(test::same_bits(gradients.back(), gradients.front())) << n;
    }
  }
}

TEST_P(PairPenalties, FewerThanTwoRowsCostNothing) {
  const at::Tensor one = at::ones({1, 4}).set_requires_grad(true);
  const at::Tensor value = ops::all_pairs(one, penalty());
  EXPECT_EQ(value.item<float>(), 0);
  EXPECT_TRUE(at::equal(gradient_of(value, one), at::zeros({1, 4})));
  EXPECT_EQ(ops::all_pairs(at::ones({0, 4}), penalty()).item<float>(), 0);
  EXPECT_EQ(ops::all_pairs(at::eye(3), penalty(), at::empty({0}, at::kLong)).item<float>(), 0);
}

TEST_P(PairPenalties, NothingCostsNothingAndAllCostsOne) {
  const auto cost = [&](double cosine) {
    return ops::pair_penalty(at::full({1}, cosine, at::kDouble), at::ones({1}, at::kDouble), penalty())
        .item<double>();
  };
  EXPECT_NEAR(cost(0), 0, 1e-15);
  EXPECT_NEAR(cost(1), penalty().cap < 1 ? cost(penalty().cap) : 1, 1e-15);
  EXPECT_EQ(cost(-1) == cost(1), penalty().absolute);
}

TEST(PairPenaltyTest, ConvexIsZeroBelowItsMarginAndSteepensAbove) {
  const PairPenalty convex{Shape::convex, true, 0.2, 2, 10, 1};
  const at::Tensor cosines = at::tensor({0.1, 0.2, 0.4, 0.6, 0.9}, at::kDouble).set_requires_grad(true);
  const at::Tensor value = ops::pair_penalty(cosines, at::ones({5}, at::kDouble), convex);
  const at::Tensor slopes = gradient_of(value, cosines);
  EXPECT_NEAR(value.item<double>(), 0.0625 + 0.25 + 0.765625, 1e-12);
  EXPECT_EQ(slopes[0].item<double>(), 0);
  EXPECT_EQ(slopes[1].item<double>(), 0);
  EXPECT_GT(slopes[3].item<double>(), slopes[2].item<double>());
  EXPECT_GT(slopes[4].item<double>(), slopes[3].item<double>());
}

TEST(PairPenaltyTest, NumbersOutsideTheFormulasAreRefused) {
  const at::Tensor one = at::ones({1});
  for (const PairPenalty& wrong :
       {PairPenalty{Shape::linear, true, 0, 2, 10, 0}, PairPenalty{Shape::convex, true, 1, 2, 10, 1},
        PairPenalty{Shape::convex, true, -0.1, 2, 10, 1}, PairPenalty{Shape::convex, true, 0, 0.5, 10, 1},
        PairPenalty{Shape::sigmoid, true, 0, 2, 0, 1}}) {
    EXPECT_THROW(ops::pair_penalty(one, one, wrong), RunError);
    EXPECT_THROW(ops::all_pairs(at::eye(3), wrong), RunError);
  }
  EXPECT_THROW(ops::pair_penalty(one, at::ones({2}), {}), RunError);
}

}  // namespace
}  // namespace regulon
