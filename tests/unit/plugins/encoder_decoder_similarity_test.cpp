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

at::Tensor value_of(const ToyStep& toy, const at::Tensor& directions) {
  StepInputs inputs{0,
                    11,
                    toy.batch,
                    Codes::sparse(ToyStep::kFeatures, toy.row_offsets, toy.feature_ids, toy.values),
                    Dictionary(toy.weight, toy.bias, 0, false),
                    toy.costs,
                    FeatureStats{},
                    directions,
                    {},
                    nullptr};
  return tests::make_plugin<LossTerm>("encoder_decoder_similarity")->value(StepView(inputs));
}

TEST(EncoderDecoderSimilarity, IsTheMeanOfOneMinusTheCosine) {
  const ToyStep toy;
  const at::Tensor directions = tests::normal({ToyStep::kFeatures, ToyStep::kWidth}, 51);
  double expected = 0;
  for (std::int64_t i = 0; i < ToyStep::kFeatures; ++i) {
    double dot = 0;
    double first = 0;
    double second = 0;
    for (std::int64_t j = 0; j < ToyStep::kWidth; ++j) {
      const double e = directions[i][j].item<double>();
      const double w = toy.weight[i][j].item<double>();
      dot += e * w;
      first += e * e;
      second += w * w;
    }
    expected += (1 - dot / std::sqrt(first * second)) / ToyStep::kFeatures;
  }
  EXPECT_NEAR(value_of(toy, directions).item<double>(), expected, 1e-12);
}

TEST(EncoderDecoderSimilarity, IsZeroForTheDecodersOwnDirections) {
  const ToyStep toy;
  EXPECT_NEAR(value_of(toy, toy.weight.detach() * 3).item<double>(), 0.0, 1e-12);
  EXPECT_NEAR(value_of(toy, toy.weight.detach() * -3).item<double>(), 2.0, 1e-12);
}

TEST(EncoderDecoderSimilarity, Gradients) {
  const ToyStep toy;
  const at::Tensor directions = tests::normal({ToyStep::kFeatures, ToyStep::kWidth}, 52).requires_grad_(true);
  const auto value = [&] { return value_of(toy, directions); };
  tests::expect_gradient(value, directions, "encoder directions");
  tests::expect_gradient(value, toy.weight, "dictionary weight");
}

TEST(EncoderDecoderSimilarity, BearsADirectionOfZeros) {
  const ToyStep toy;
  const at::Tensor directions = at::zeros({ToyStep::kFeatures, ToyStep::kWidth}, at::kDouble);
  directions.requires_grad_(true);
  EXPECT_EQ(value_of(toy, directions).item<double>(), 1.0);
  const at::Tensor slope = tests::autograd_gradient([&] { return value_of(toy, directions); }, directions);
  EXPECT_TRUE(slope.isfinite().all().item<bool>());
}

}  // namespace
}  // namespace regulon
