#include <regulon/error.h>
#include <regulon/pairs.h>
#include <regulon/step.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "ops_reference.h"

namespace regulon {
namespace {

/// Nearest rows by the dot products as defined.
struct Expected {
  std::vector<std::int64_t> row;
  std::vector<std::int64_t> other;
  std::vector<double> share;
};

Expected brute_force(const at::Tensor& rows, const ops::NearestSettings& settings) {
  at::Tensor cosines = test::defined_products(rows, rows).to(at::kDouble);
  const at::Tensor sizes = settings.absolute ? cosines.abs() : cosines;
  const std::int64_t n = rows.size(0);
  std::vector<bool> zero;
  for (std::int64_t i = 0; i < n; ++i) zero.push_back(rows[i].abs().max().item<double>() == 0);
  Expected expected;
  for (std::int64_t i = 0; i < n; ++i) {
    if (settings.rows.defined() && !(settings.rows == i).any().item<bool>()) continue;
    std::vector<std::pair<double, std::int64_t>> others;
    for (std::int64_t j = 0; j < n; ++j) {
      if (i == j || zero[static_cast<std::size_t>(i)] || zero[static_cast<std::size_t>(j)]) continue;
      if (settings.absolute && sizes.data_ptr<double>()[i * n + j] == 0) continue;  // at right angles
      others.emplace_back(-sizes.data_ptr<double>()[i * n + j], j);
    }
    std::sort(others.begin(), others.end());
    if (others.empty()) continue;
    const double wanted =
        others[static_cast<std::size_t>(std::min(settings.rank, std::ssize(others)) - 1)].first;
    std::vector<std::int64_t> best;
    for (const auto& [size, j] : others) {
      if (size == wanted && std::ssize(best) < 64) best.push_back(j);
    }
    for (const std::int64_t j : best) {
      expected.row.push_back(i);
      expected.other.push_back(j);
      expected.share.push_back(1.0 / static_cast<double>(best.size()));
    }
  }
  return expected;
}

void expect_nearest(const at::Tensor& rows, const ops::NearestSettings& settings = {}) {
  const Expected expected = brute_force(rows, settings);
  const ops::Neighbours found = ops::nearest_neighbours(rows, settings);
  EXPECT_TRUE(at::equal(found.row, at::tensor(expected.row, at::kLong)));
  EXPECT_TRUE(at::equal(found.other, at::tensor(expected.other, at::kLong)));
  EXPECT_TRUE(at::equal(found.share, at::tensor(expected.share, at::kDouble).to(rows.scalar_type())));
}

TEST(NearestNeighboursTest, AreThoseOfTheWholeMatrix) {
  at::manual_seed(14);
  for (const auto type : {at::kFloat, at::kDouble}) {
    for (const std::int64_t n : {1, 2, 3, 8, 31, 300, 1100}) {
      for (const std::int64_t d : {1, 2, 5, 48}) {
        if (n * d > 20000) continue;
        SCOPED_TRACE(::testing::Message() << n << " x " << d);
        expect_nearest(test::random_units(n, d, type));
      }
    }
  }
}

TEST(NearestNeighboursTest, TiesAreAllListedAndZeroRowsAreNot) {
  at::manual_seed(15);
  at::Tensor rows = test::random_units(120, 6, at::kFloat);
  rows[7] = rows[3];
  rows[50] = -rows[3];
  rows[110] = rows[3];
  rows[20].zero_();
  rows[99].zero_();
  expect_nearest(rows);
  const ops::Neighbours found = ops::nearest_neighbours(rows);
  EXPECT_TRUE(at::equal(found.other.masked_select(found.row == 7), at::tensor({3, 50, 110}, at::kLong)));
  EXPECT_EQ((found.row == 20).sum().item<std::int64_t>(), 0);
  EXPECT_EQ((found.other == 20).sum().item<std::int64_t>(), 0);
  // Each row weighs one.
  EXPECT_NEAR(found.share.sum().item<double>(), 118, 1e-4);
}

TEST(NearestNeighboursTest, OrthogonalRowsAreNoNeighboursUnlessCosinesAreSigned) {
  expect_nearest(at::eye(20));
  expect_nearest(at::eye(20), {1, false});
  EXPECT_EQ(ops::nearest_neighbours(at::eye(20)).row.size(0), 0);
  EXPECT_EQ(ops::nearest_neighbours(at::eye(20), {1, false}).row.size(0), 20 * 19);
}

TEST(NearestNeighboursTest, OfManyTiesTheLowestIdsAreHandedOut) {
  at::manual_seed(20);
  // 700 rows of three directions: the first with 500, one with 130, others alone.
  at::Tensor rows = test::random_units(700, 9, at::kFloat);
  rows.slice(0, 0, 500).copy_(rows[0].expand({500, 9}).clone());
  rows.slice(0, 100, 180).neg_();
  rows.slice(0, 520, 650).copy_(rows[520].expand({130, 9}).clone());
  rows = rows.index_select(0, at::randperm(700, named_generator(3, "ties"), at::kLong));
  for (const std::int64_t rank : {1, 3, 100, 200, 600}) {
    for (const bool absolute : {true, false}) {
      SCOPED_TRACE(::testing::Message() << "rank " << rank << ", absolute " << absolute);
      expect_nearest(rows, {rank, absolute});
      expect_nearest(rows, {rank, absolute, at::arange(0, 700, 7, at::kLong)});
    }
  }
}

TEST(NearestNeighboursTest, EqualRowsAreFewPairsOfTheSameValue) {
  constexpr std::int64_t kEqual = 3000;
  at::manual_seed(21);
  const at::Tensor rows = test::random_units(1, 8).expand({kEqual, 8}).contiguous();
  const ops::Neighbours found = ops::nearest_neighbours(rows);
  EXPECT_EQ(found.row.size(0), ops::kMostTies * kEqual);
  EXPECT_EQ(found.other.max().item<std::int64_t>(), ops::kMostTies);  // row 0 .. 63 leave themselves out
  EXPECT_NEAR(found.share.sum().item<double>(), kEqual, 1e-6);
  // Of every row the mean over all its ties, as by the whole matrix, is one.
  const at::Tensor cosines = ops::pair_cosines(rows, found.row, found.other);
  const double value = ops::pair_penalty(cosines, found.share, {}).item<double>() / kEqual;
  EXPECT_NEAR(value, rows.mm(rows.t()).abs().fill_diagonal_(-1).amax(1).mean().item<double>(), 1e-12);
}

TEST(NearestNeighboursTest, OfAnyRankSignedOrNotOfAnyRows) {
  at::manual_seed(19);
  for (const auto type : {at::kFloat, at::kDouble}) {
    for (const std::int64_t n : {1, 2, 5, 40, 200}) {
      at::Tensor rows = test::random_units(n, 6, type);
      if (n > 20) {
        rows[7] = rows[3];
        rows[11] = -rows[3];
        rows[9].zero_();
      }
      for (const std::int64_t rank : {1, 2, 7, 60, 1000}) {
        for (const bool absolute : {true, false}) {
          SCOPED_TRACE(::testing::Message() << n << " rows, rank " << rank << ", absolute " << absolute);
          expect_nearest(rows, {rank, absolute});
          expect_nearest(rows, {rank, absolute, at::arange(n / 2, n, at::kLong)});
          expect_nearest(rows, {rank, absolute, at::arange(0, n, 3, at::kLong)});
          expect_nearest(rows, {rank, absolute, at::empty({0}, at::kLong)});
        }
      }
    }
  }
}

TEST(NearestNeighboursTest, RowsAndRanksThatDoNotFitAreRefused) {
  const at::Tensor rows = at::eye(4);
  const auto choose = [](std::vector<std::int64_t> ids) {
    return ops::NearestSettings{1, true, at::tensor(ids, at::kLong)};
  };
  for (const auto& ids : {std::vector<std::int64_t>{1, 0}, {2, 2}, {0, 4}, {-1, 2}})
    EXPECT_THROW(ops::nearest_neighbours(rows, choose(ids)), RunError);
  EXPECT_THROW(ops::nearest_neighbours(rows, {0}), RunError);
}

TEST(NearestNeighboursTest, AlmostTiedRowsAreToldApartExactly) {
  at::manual_seed(16);
  const at::Tensor one = test::random_units(1, 32, at::kFloat);
  at::Tensor rows = one + 1e-7 * at::randn({200, 32});
  expect_nearest(rows / rows.norm(2, 1, true));
}

TEST(NearestNeighboursTest, ThreadsDoNotShow) {
  at::manual_seed(17);
  const at::Tensor rows = test::random_units(1500, 12, at::kFloat);
  std::vector<ops::Neighbours> found;
  for (const int threads : {1, 2, 3}) {
    const test::Threads limit(threads);
    found.push_back(ops::nearest_neighbours(rows));
    EXPECT_TRUE(at::equal(found.back().row, found.front().row));
    EXPECT_TRUE(at::equal(found.back().other, found.front().other));
  }
}

TEST(NearestNeighboursTest, RowsThatAreNotFiniteAreRefused) {
  at::Tensor rows = at::eye(3);
  rows[1][1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(ops::nearest_neighbours(rows), RunError);
}

TEST(PairCosinesTest, ValuesAndGradients) {
  at::manual_seed(18);
  const at::Tensor row = at::tensor({0, 0, 1, 4, 4, 2, 3}, at::kLong);
  const at::Tensor other = at::tensor({1, 4, 0, 3, 3, 2, 4}, at::kLong);
  const at::Tensor weights = at::randn({7}, at::kDouble);
  const at::Tensor rows = at::randn({6, 5}, at::kDouble) * 3;
  rows[5].zero_();
  const at::Tensor units = rows / rows.norm(2, 1, true).clamp_min(1e-300);
  const at::Tensor expected = (units.index_select(0, row) * units.index_select(0, other)).sum(1);
  EXPECT_TRUE(at::allclose(ops::pair_cosines(rows, row, other), expected, 1e-12, 1e-14));
  test::expect_gradients(
      [&](const test::TensorList& in) { return (ops::pair_cosines(in[0], row, other) * weights).sum(); },
      {rows});
}

TEST(PairCosinesTest, NoPairsAndWrongPairs) {
  const at::Tensor rows = at::eye(3).set_requires_grad(true);
  const at::Tensor none = at::empty({0}, at::kLong);
  const at::Tensor nothing = ops::pair_cosines(rows, none, none).sum();
  EXPECT_TRUE(at::equal(torch::autograd::grad({nothing}, {rows})[0], at::zeros({3, 3})));
  EXPECT_THROW(ops::pair_cosines(rows, at::tensor({3}, at::kLong), at::tensor({0}, at::kLong)), RunError);
  EXPECT_THROW(ops::pair_cosines(rows, at::tensor({0}, at::kLong), none), RunError);
}

}  // namespace
}  // namespace regulon
