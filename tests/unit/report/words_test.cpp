#include "core/report/words.h"

#include <gtest/gtest.h>

#include <cmath>

namespace regulon::core::report {
namespace {

std::vector<double> noisy(double slope, double noise) {
  std::vector<double> values;
  for (int i = 0; i < 50; ++i) values.push_back(10 + slope * i + (i % 2 == 0 ? noise : -noise));
  return values;
}

TEST(Words, NumbersHaveFourDigits) {
  EXPECT_EQ(number_text(0.16264895), "0.1626");
  EXPECT_EQ(number_text(16384), "16384");
  EXPECT_EQ(number_text(123456.7), "123457");
  EXPECT_EQ(number_text(1.5e-9), "1.5e-09");
  EXPECT_EQ(number_text(std::nan("")), "-");
  EXPECT_EQ(number_text(-INFINITY), "-");
  EXPECT_EQ(signed_text(0.5), "+0.5");
  EXPECT_EQ(signed_text(-0.5), "-0.5");
}

TEST(Words, SharesTimesAndCounts) {
  EXPECT_EQ(share_text(0), "0%");
  EXPECT_EQ(share_text(1), "100%");
  EXPECT_EQ(share_text(0.0314), "3.1%");
  EXPECT_EQ(share_text(0.00004), "0.004%");
  EXPECT_EQ(time_text(3.25), "3.2 s");
  EXPECT_EQ(time_text(59.7), "1 min 0 s");
  EXPECT_EQ(time_text(3725), "1 h 2 min");
  EXPECT_EQ(count_text(1, "run"), "1 run");
  EXPECT_EQ(count_text(0, "run"), "0 runs");
}

TEST(Words, ATrendIsToldOnlyBeyondChance) {
  EXPECT_EQ(trend_of(noisy(-0.1, 0.01)).kind, Trend::Kind::falling);
  EXPECT_EQ(trend_of(noisy(0.1, 0.01)).kind, Trend::Kind::rising);
  EXPECT_EQ(trend_of(noisy(0.01, 5)).kind, Trend::Kind::level);    // drowned in noise
  EXPECT_EQ(trend_of(noisy(0.0001, 0)).kind, Trend::Kind::level);  // certain, and too small to matter
  EXPECT_EQ(trend_of({1, 2, 3}).kind, Trend::Kind::unknown);
  EXPECT_EQ(trend_of(std::vector<double>(30, 0.0)).kind, Trend::Kind::unknown);
}

TEST(Words, ATrendsChangeIsThatOfTheFifthsMeans) {
  std::vector<double> values(9, 1.0);
  values.insert(values.end(), {2, 2, 2, 1, 1, 1});
  const Trend trend = trend_of(values);
  EXPECT_EQ(trend.kind, Trend::Kind::falling);
  EXPECT_DOUBLE_EQ(trend.change, -0.5);
  EXPECT_NE(trend_text(trend).find("still falling"), std::string::npos);
}

}  // namespace
}  // namespace regulon::core::report
