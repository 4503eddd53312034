#include "core/train/statistics.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace regulon::core {
namespace {

/// Four rows over three features: feature 0 in every row, feature 1 in one, feature 2 in none.
Codes some_codes() {
  return Codes::sparse(3, at::tensor({0, 1, 3, 4, 5}, at::kLong), at::tensor({0, 0, 1, 0, 0}, at::kInt),
                       at::tensor({1.0F, 2.0F, 8.0F, 3.0F, 2.0F}));
}

TEST(Statistics, AveragesAreUnbiasedFromTheFirstStep) {
  Statistics statistics(3, 5, 0.999);
  EXPECT_EQ(statistics.view().rows_seen, 0);
  for (int step = 0; step < 3; ++step) {
    statistics.update(some_codes());
    const FeatureStats stats = statistics.view();
    EXPECT_NEAR(stats.frequency[0].item<double>(), 1.0, 1e-6);
    EXPECT_NEAR(stats.frequency[1].item<double>(), 0.25, 1e-6);
    EXPECT_EQ(stats.frequency[2].item<double>(), 0.0);
    EXPECT_NEAR(stats.mean_value[0].item<double>(), 2.0, 1e-6);
    EXPECT_NEAR(stats.mean_value[1].item<double>(), 2.0, 1e-6);
    EXPECT_EQ(stats.rows_seen, 4 * (step + 1));
    EXPECT_EQ(stats.width, 5);
  }
}

TEST(Statistics, CountsSilentRows) {
  Statistics statistics(3, 5, 0.9);
  statistics.update(some_codes());
  statistics.update(some_codes());
  EXPECT_TRUE(at::equal(statistics.view().silent_rows, at::tensor({0, 0, 8}, at::kLong)));
  EXPECT_DOUBLE_EQ(statistics.dead_share(8), 1.0 / 3.0);
  EXPECT_DOUBLE_EQ(statistics.dead_share(9), 0.0);
}

TEST(Statistics, NearMissesAreNotActivity) {
  Statistics statistics(2, 5, 0.9);
  statistics.update(Codes::sparse(2, at::tensor({0, 2}, at::kLong), at::tensor({0, 1}, at::kInt),
                                  at::tensor({0.0F, 1.0F})));
  EXPECT_EQ(statistics.view().frequency[0].item<double>(), 0.0);
  EXPECT_EQ(statistics.view().silent_rows[0].item<std::int64_t>(), 1);
}

TEST(Statistics, StateRestoresEverything) {
  Statistics statistics(3, 5, 0.9);
  statistics.update(some_codes());
  Statistics other(3, 5, 0.9);
  other.load(statistics.state(), "test");
  EXPECT_TRUE(at::equal(other.view().frequency, statistics.view().frequency));
  EXPECT_TRUE(at::equal(other.view().mean_value, statistics.view().mean_value));
  EXPECT_EQ(other.view().rows_seen, 4);
}

}  // namespace
}  // namespace regulon::core
