#include "core/model/geometric_median.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace regulon::core {
namespace {

double distance_sum(const at::Tensor& rows, const at::Tensor& point) {
  return (rows - point).norm(2, {1}).sum().item<double>();
}

TEST(GeometricMedian, HasTheSmallestSumOfDistances) {
  at::manual_seed(61);
  const at::Tensor rows = at::randn({200, 5});
  const at::Tensor median = geometric_median(rows);
  const double least = distance_sum(rows, median);
  for (std::int64_t i = 0; i < 5; ++i) {
    at::Tensor aside = at::zeros({5});
    aside[i] = 0.01;
    EXPECT_GT(distance_sum(rows, median + aside), least);
    EXPECT_GT(distance_sum(rows, median - aside), least);
  }
}

TEST(GeometricMedian, OutliersHardlyMoveIt) {
  at::manual_seed(62);
  at::Tensor rows = at::randn({200, 5});
  const at::Tensor before = geometric_median(rows);
  rows.narrow(0, 0, 4).mul_(1e4);
  EXPECT_LT((geometric_median(rows) - before).norm().item<double>(), 0.2);
  EXPECT_GT((rows.mean(0) - before).norm().item<double>(), 10.0);
}

TEST(GeometricMedian, OfEqualRowsIsTheRow) {
  const at::Tensor rows = at::full({7, 3}, 2.5);
  EXPECT_TRUE(at::equal(geometric_median(rows), rows[0]));
  EXPECT_TRUE(at::equal(geometric_median(rows.narrow(0, 0, 1)), rows[0]));
}

}  // namespace
}  // namespace regulon::core
