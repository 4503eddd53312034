/// Spread and bootstrap against what is known of them.

#include "core/study/spread.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <utility>
#include <vector>

namespace regulon::core::testing {
namespace {

TEST(Spread, OfAFewNumbers) {
  const Spread spread = spread_of(std::vector<double>{2, 4, 4, 4, 5, 5, 7, 9});
  EXPECT_EQ(spread.n, 8);
  EXPECT_DOUBLE_EQ(spread.mean, 5);
  EXPECT_DOUBLE_EQ(spread.std.value(), std::sqrt(32.0 / 7));
  EXPECT_EQ(spread.min, 2);
  EXPECT_EQ(spread.max, 9);
  EXPECT_FALSE(spread_of(std::vector<double>{3}).std);
}

TEST(Difference, OfOnePairHasNoInterval) {
  const Difference one = difference_of(std::vector<double>{-0.5});
  EXPECT_EQ(one.n, 1);
  EXPECT_EQ(one.mean, -0.5);
  EXPECT_FALSE(one.low);
  EXPECT_FALSE(one.high);
}

TEST(Difference, OfTwoPairsIsStudentsInterval) {
  const Difference two = difference_of(std::vector<double>{0, 1});
  EXPECT_EQ(two.mean, 0.5);
  EXPECT_NEAR(two.low.value(), 0.5 - 12.7062 * 0.5, 1e-4);  // the standard error is a half
  EXPECT_NEAR(two.high.value(), 0.5 + 12.7062 * 0.5, 1e-4);
}

TEST(Difference, ReachesFurtherWhereTheValuesDo) {
  const Difference skewed = difference_of(std::vector<double>{0, 0, 0, 0, 0, 0, 0, 0, 0, 10});
  const double t = 2.262157;  // of 9 degrees of freedom; the standard error is 1
  EXPECT_NEAR(skewed.low.value(), 1 - t, 1e-3);
  // 97.5% of all resamples draw the ten three times or less.
  EXPECT_NEAR(skewed.high.value(), 1 + 2 * std::sqrt(10.0 / 9) * t / 1.959964, 1e-3);
}

TEST(Difference, UsesTheQuantilesOfTables) {
  const std::pair<std::int64_t, double> table[] = {{1, 12.706}, {2, 4.303},  {3, 3.182},  {4, 2.776},
                                                   {5, 2.571},  {9, 2.262},  {19, 2.093}, {30, 2.042},
                                                   {60, 2.000}, {120, 1.980}};
  for (const auto& [freedom, quantile] : table) EXPECT_NEAR(student_quantile(freedom), quantile, 0.004);
}

/// How often the interval of `n` normal differences holds their true mean.
double coverage(std::size_t n) {
  constexpr int kTrials = 2000;
  std::mt19937 random(11);
  std::normal_distribution<double> normal(0.3, 2.0);
  std::vector<double> values(n);
  int held = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    for (double& value : values) value = normal(random);
    const Difference difference = difference_of(values);
    if (difference.low.value() <= 0.3 && 0.3 <= difference.high.value()) ++held;
  }
  return held / static_cast<double>(kTrials);
}

TEST(Difference, HoldsTheTruthAsOftenAsItSays) {
  // 2000 trials are sure to half a percent; the wider of two intervals may hold it more often.
  for (const std::size_t n : {2U, 3U, 5U, 10U}) {
    const double share = coverage(n);
    EXPECT_GT(share, 0.94) << n;
    EXPECT_LT(share, 0.98) << n;
  }
}

TEST(Difference, OfManyPairsIsTheNormalInterval) {
  std::mt19937 random(1);
  std::normal_distribution<double> normal(0.3, 2.0);
  std::vector<double> values(400);
  for (double& value : values) value = normal(random);
  const Spread spread = spread_of(values);
  const double half = 1.959964 * spread.std.value() / std::sqrt(400.0);
  const Difference difference = difference_of(values);
  EXPECT_DOUBLE_EQ(difference.mean, spread.mean);
  EXPECT_NEAR(difference.low.value(), spread.mean - half, 0.1 * half);
  EXPECT_NEAR(difference.high.value(), spread.mean + half, 0.1 * half);
}

TEST(Difference, IsTheSameEveryTime) {
  const std::vector<double> values = {0.1, 0.7, -0.2, 0.4};
  EXPECT_EQ(difference_of(values).low, difference_of(values).low);
  EXPECT_EQ(difference_of(values).high, difference_of(values).high);
}

}  // namespace
}  // namespace regulon::core::testing
