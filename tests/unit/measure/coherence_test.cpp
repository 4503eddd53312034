#include "core/measure/coherence.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <regulon/step.h>

namespace regulon::core {
namespace {

at::Tensor some_rows(std::int64_t n, std::int64_t d) {
  return at::randn({n, d}, named_generator(7, "coherence"), at::TensorOptions(at::kFloat));
}

TEST(CoherenceOf, AgreesWithAllCosinesAtOnce) {
  const at::Tensor rows = some_rows(300, 12) * 3;
  const at::Tensor units = (rows / rows.norm(2, {1}, true)).to(at::kDouble);
  at::Tensor cosines = at::matmul(units, units.t()).abs();
  cosines.fill_diagonal_(0);
  const Coherence found = coherence_of(rows);
  EXPECT_EQ(found.rows, 300);
  EXPECT_NEAR(found.mean_nearest, cosines.amax(1).mean().item<double>(), 1e-6);
  EXPECT_NEAR(found.closest, cosines.max().item<double>(), 1e-6);
  EXPECT_EQ(found.pairs_above_half, (cosines.triu(1) > 0.5).sum().item<std::int64_t>());
  EXPECT_GT(found.pairs_above_half, 100);
}

TEST(CoherenceOf, LooksAtEvenlySpacedRowsOfLargeDictionaries) {
  const at::Tensor rows = some_rows(4000, 12);
  const Coherence all = coherence_of(rows);
  const Coherence some = coherence_of(rows, 1000);
  EXPECT_EQ(some.rows, 1000);
  EXPECT_NEAR(some.mean_nearest, all.mean_nearest, 5e-3);
  EXPECT_NEAR(static_cast<double>(some.pairs_above_half), static_cast<double>(all.pairs_above_half),
              0.03 * static_cast<double>(all.pairs_above_half));
}

TEST(CoherenceOf, HoldsForFewAndForOddRows) {
  EXPECT_EQ(coherence_of(some_rows(1, 4)).mean_nearest, 0);
  EXPECT_EQ(coherence_of(at::zeros({3, 4})).closest, 0);
  const at::Tensor opposite = at::cat({at::eye(3, 4), -at::eye(1, 4)});
  const Coherence found = coherence_of(opposite);
  EXPECT_EQ(found.pairs_above_half, 1);
  EXPECT_EQ(found.closest, 1);
  EXPECT_EQ(found.mean_nearest, 0.5);
}

}  // namespace
}  // namespace regulon::core
