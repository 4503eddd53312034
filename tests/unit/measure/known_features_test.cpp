#include "core/measure/known_features.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <regulon/error.h>

#include <limits>

#include "tests/unit/support/expect_error.h"

namespace regulon::core {
namespace {

/// True features are the axes of four dimensions.
at::Tensor axes() { return at::eye(4); }

at::Tensor rows(std::vector<std::vector<float>> values) {
  std::vector<at::Tensor> all;
  for (auto& row : values) all.push_back(at::tensor(row));
  return at::stack(all);
}

TEST(KnownFeatures, TellsFoundComposedAndMissed) {
  const at::Tensor learnt = rows({{2, 0, 0, 0}, {0, 1, 1, 0}, {0, 0, 0, 1}, {0, 0, 1, 0.1F}});
  const at::Tensor frequency = at::tensor({0.5, 0.5, 0.0, 0.1});  // the third is silent
  const KnownFeatures known = compare_with_known(known_directions(learnt, axes()), frequency);
  EXPECT_EQ(known.alive, (std::vector<std::int64_t>{0, 1, 3}));
  EXPECT_EQ(known.found, (std::vector<std::int64_t>{0, 2}));
  EXPECT_EQ(known.missed, (std::vector<std::int64_t>{1, 3}));
  EXPECT_EQ(known.composed, (std::vector<std::int64_t>{1}));
  EXPECT_NEAR(known_cosines(known, {1}, {1}).item<double>(), std::sqrt(0.5), 1e-6);
  // The silent third is nearest to the fourth true feature, and does not count: the next best is the last.
  EXPECT_TRUE(known.directions.best.equal(at::tensor({0, 1, 3, 3}, at::kLong)));
  EXPECT_NEAR(known.directions.best_cosine[3].item<double>(), 0.1 / std::sqrt(1.01), 1e-6);
}

TEST(KnownFeatures, OppositeDirectionIsNotFound) {
  const KnownFeatures known =
      compare_with_known(known_directions(rows({{-1, 0, 0, 0}}), axes()), at::ones({1}));
  EXPECT_TRUE(known.found.empty());
}

TEST(KnownFeatures, ReadingOrderIsAPermutationAliveFirst) {
  const at::Tensor learnt = rows({{0, 0, 1, 0}, {0, 1, 0, 0}, {1, 0, 0, 0}, {0, 1, 0.2F, 0}});
  const KnownFeatures known =
      compare_with_known(known_directions(learnt, axes()), at::tensor({1.0, 0.0, 1.0, 1.0}));
  EXPECT_EQ(reading_order(known), (std::vector<std::int64_t>{2, 3, 0, 1}));
}

TEST(KnownFeatures, TrueFeaturesThatOverlapAreNoCombinations) {
  const at::Tensor truth = rows({{1, 0, 0, 0}, {0.8F, 0.6F, 0, 0}});
  EXPECT_TRUE(compare_with_known(known_directions(truth, truth), at::ones({2})).composed.empty());
  const at::Tensor sum = rows({{1, 0.6F, 0.8F, 0}});
  EXPECT_EQ(compare_with_known(known_directions(sum, axes()), at::ones({1})).composed.size(), 1U);
}

TEST(KnownFeatures, BlocksMakeTheWholeMatrix) {
  at::manual_seed(7);
  const at::Tensor learnt = at::randn({9000, 6});  // more than one block of the 1500 true features
  const at::Tensor truth = at::randn({1500, 6});
  const at::Tensor frequency = at::rand({9000}) - 0.5;  // half of them silent
  const KnownFeatures known = compare_with_known(known_directions(learnt, truth), frequency);
  const auto unit = [](const at::Tensor& rows) { return rows / rows.norm(2, {1}, true); };
  const at::Tensor cosines = at::matmul(unit(learnt), unit(truth).t());
  EXPECT_TRUE(at::allclose(known.directions.nearest_cosine, std::get<0>(cosines.max(1)), 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(cosines.gather(1, known.directions.matched.unsqueeze(1)).squeeze(1).abs(),
                           cosines.abs().amax(1), 1e-5, 1e-6));
  const at::Tensor alive = cosines.masked_fill((frequency <= 0).unsqueeze(1), -2);
  EXPECT_TRUE(at::allclose(known.directions.best_cosine, alive.amax(0), 1e-5, 1e-6));
  EXPECT_NEAR(known.mean_best, alive.amax(0).clamp_min(0).mean().item<double>(), 1e-5);
  EXPECT_TRUE(
      at::allclose(at::tensor(std::vector<float>(1, known_cosines(known, {8999}, {1499}).item<float>())),
                   cosines[8999][1499].reshape({1}), 1e-5, 1e-6));
}

TEST(KnownFeatures, WithoutAnAliveFeatureAllIsMissed) {
  const KnownFeatures known = compare_with_known(known_directions(axes(), axes()), at::zeros({4}));
  EXPECT_EQ(known.missed.size(), 4U);
  EXPECT_EQ(known.mean_best, 0);
  EXPECT_TRUE(known.directions.best.equal(at::full({4}, -1, at::kLong)));
}

TEST(KnownFeatures, RefusesAnotherWidth) {
  EXPECT_THROW(known_directions(at::ones({2, 3}), axes()), InputError);
  EXPECT_THROW(known_directions(at::ones({2, 4}), at::ones({0, 4})), InputError);
}

TEST(KnownFeatures, RefusesTrueFeaturesThatAreNotNumbers) {
  at::Tensor truth = axes();
  truth[2][1].fill_(std::numeric_limits<double>::quiet_NaN());
  tests::expect_error<InputError>(
      [&] {
        known_directions(at::ones({2, 4}), truth);
      },
      {"row 2 is not finite", "NaN in 1 rows"});
}

TEST(KnownFeatures, NothingFindsARowOfZeros) {
  at::Tensor truth = axes();
  truth[2].zero_();
  const KnownFeatures known = compare_with_known(known_directions(axes(), truth), at::ones({4}));
  EXPECT_EQ(known.missed, (std::vector<std::int64_t>{2}));
}

}  // namespace
}  // namespace regulon::core
