#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <regulon/loss_term.h>
#include <regulon/ops.h>

#include <cmath>

#include "tests/unit/support/expect_error.h"
#include "tests/unit/support/load_plugin.h"
#include "tests/unit/support/toy_step.h"

namespace regulon {
namespace {

using tests::ToyStep;

/// A product under thresholds, and the step with its codes.
struct Jump {
  static constexpr double kWindow = 0.8;

  ToyStep toy;
  at::Tensor encoder = tests::normal({ToyStep::kFeatures, ToyStep::kWidth}, 41).requires_grad_(true);
  at::Tensor thresholds = (tests::normal({ToyStep::kFeatures}, 42).abs() + 0.3).requires_grad_(true);

  StepView view() const {
    Selection selection;
    selection.thresholds = thresholds;
    selection.window = kWindow;
    StepInputs inputs{0,
                      11,
                      toy.batch,
                      ops::select_product({toy.batch, encoder, {}, {}}, selection),
                      Dictionary(toy.weight, toy.bias, 0, true),
                      toy.costs,
                      FeatureStats{},
                      at::Tensor(),
                      {},
                      nullptr};
    return StepView(inputs);
  }
};

TEST(L0, CountsActiveFeaturesAtTheirCostAndTrainsThresholds) {
  const Jump jump;
  const auto term = tests::make_plugin<LossTerm>("l0");
  const at::Tensor value = term->value(jump.view());
  value.backward();

  // By hand: z, the step, and a box of the window's width in the place of its derivative.
  double expected = 0;
  for (std::int64_t i = 0; i < ToyStep::kFeatures; ++i) {
    const double theta = jump.thresholds[i].item<double>();
    const double cost = jump.toy.costs[i].item<double>();
    double slope = 0;
    for (std::int64_t row = 0; row < ToyStep::kRows; ++row) {
      double z = 0;
      for (std::int64_t j = 0; j < ToyStep::kWidth; ++j)
        z += jump.toy.batch[row][j].item<double>() * jump.encoder[i][j].item<double>();
      if (z > theta) expected += cost / ToyStep::kRows;
      if (std::abs(z - theta) <= Jump::kWindow / 2) slope -= cost / Jump::kWindow / ToyStep::kRows;
    }
    EXPECT_NEAR(jump.thresholds.grad()[i].item<double>(), slope, 1e-12) << i;
  }
  EXPECT_NEAR(value.item<double>(), expected, 1e-12);
  EXPECT_GT(expected, 0.0);
  EXPECT_GT(jump.thresholds.grad().abs().max().item<double>(), 0.0);
  const at::Tensor of_encoder = jump.encoder.grad();
  EXPECT_TRUE(!of_encoder.defined() || of_encoder.abs().max().item<double>() == 0.0) << "theta alone learns";
}

TEST(L0, NeedsThresholdsThatLearn) {
  const auto term = tests::make_plugin<LossTerm>("l0");
  EXPECT_EQ(term->needs(), (std::vector<std::string>{"codes.open", "costs"}));
  const ToyStep toy;
  tests::expect_error<RunError>([&] { term->value(toy.view()); }, {"no channel 'open'"});
}

}  // namespace
}  // namespace regulon
