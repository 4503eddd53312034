#include "core/measure/known_features.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <regulon/error.h>

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
  const KnownFeatures known = compare_with_known(learnt, axes(), frequency);
  EXPECT_EQ(known.alive, (std::vector<std::int64_t>{0, 1, 3}));
  EXPECT_EQ(known.found, (std::vector<std::int64_t>{0, 2}));
  EXPECT_EQ(known.missed, (std::vector<std::int64_t>{1, 3}));
  EXPECT_EQ(known.composed, (std::vector<std::int64_t>{1}));
  EXPECT_NEAR(known.cosines[1][1].item<double>(), std::sqrt(0.5), 1e-6);
}

TEST(KnownFeatures, OppositeDirectionIsNotFound) {
  const KnownFeatures known = compare_with_known(rows({{-1, 0, 0, 0}}), axes(), at::ones({1}));
  EXPECT_TRUE(known.found.empty());
}

TEST(KnownFeatures, ReadingOrderIsAPermutationAliveFirst) {
  const at::Tensor learnt = rows({{0, 0, 1, 0}, {0, 1, 0, 0}, {1, 0, 0, 0}, {0, 1, 0.2F, 0}});
  const KnownFeatures known = compare_with_known(learnt, axes(), at::tensor({1.0, 0.0, 1.0, 1.0}));
  EXPECT_EQ(reading_order(known), (std::vector<std::int64_t>{2, 3, 0, 1}));
}

TEST(KnownFeatures, TrueFeaturesThatOverlapAreNoCombinations) {
  const at::Tensor truth = rows({{1, 0, 0, 0}, {0.8F, 0.6F, 0, 0}});
  EXPECT_TRUE(compare_with_known(truth, truth, at::ones({2})).composed.empty());
  const at::Tensor sum = rows({{1, 0.6F, 0.8F, 0}});
  EXPECT_EQ(compare_with_known(sum, axes(), at::ones({1})).composed.size(), 1U);
}

TEST(KnownFeatures, RefusesAnotherWidth) {
  EXPECT_THROW(compare_with_known(at::ones({2, 3}), axes(), at::ones({2})), InputError);
}

}  // namespace
}  // namespace regulon::core
