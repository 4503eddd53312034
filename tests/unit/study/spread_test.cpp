/// Spread and bootstrap against what is known of them.

#include "core/study/spread.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace regulon::core::testing {
namespace {

TEST(Spread, OfAFewNumbers) {
  const Spread spread = spread_of(std::vector<double>{2, 4, 4, 4, 5, 5, 7, 9});
  EXPECT_EQ(spread.n, 8);
  EXPECT_DOUBLE_EQ(spread.mean, 5);
  EXPECT_DOUBLE_EQ(spread.std, std::sqrt(32.0 / 7));
  EXPECT_EQ(spread.min, 2);
  EXPECT_EQ(spread.max, 9);
  EXPECT_EQ(spread_of(std::vector<double>{3}).std, 0);
}

TEST(Difference, OfOnePairIsThatPair) {
  const Difference one = difference_of(std::vector<double>{-0.5});
  EXPECT_EQ(one.n, 1);
  EXPECT_EQ(one.mean, -0.5);
  EXPECT_EQ(one.low, -0.5);
  EXPECT_EQ(one.high, -0.5);
}

TEST(Difference, OfTwoPairsSpansBoth) {
  // A quarter of all resamples is twice the first, a quarter twice the second.
  const Difference two = difference_of(std::vector<double>{0, 1});
  EXPECT_EQ(two.mean, 0.5);
  EXPECT_EQ(two.low, 0);
  EXPECT_EQ(two.high, 1);
}

TEST(Difference, OfManyPairsIsTheNormalInterval) {
  std::mt19937 random(1);
  std::normal_distribution<double> normal(0.3, 2.0);
  std::vector<double> values(400);
  for (double& value : values) value = normal(random);
  const Spread spread = spread_of(values);
  const double half = 1.959964 * spread.std / std::sqrt(400.0);
  const Difference difference = difference_of(values);
  EXPECT_DOUBLE_EQ(difference.mean, spread.mean);
  EXPECT_NEAR(difference.low, spread.mean - half, 0.1 * half);
  EXPECT_NEAR(difference.high, spread.mean + half, 0.1 * half);
}

TEST(Difference, IsTheSameEveryTime) {
  const std::vector<double> values = {0.1, 0.7, -0.2, 0.4};
  EXPECT_EQ(difference_of(values).low, difference_of(values).low);
  EXPECT_EQ(difference_of(values).high, difference_of(values).high);
}

}  // namespace
}  // namespace regulon::core::testing
