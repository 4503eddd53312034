#include <regulon/error.h>
#include <regulon/pairs.h>

#include <limits>
#include <vector>

#include "ops_reference.h"

namespace regulon {
namespace {

at::Tensor all_pairs_reference(const at::Tensor& rows, ops::PairShape shape) {
  const std::int64_t n = rows.size(0);
  const at::Tensor cosines = at::mm(rows, rows.t()) * (1 - at::eye(n, rows.options()));
  const at::Tensor shaped = shape == ops::PairShape::square ? cosines.square() : cosines.abs();
  return shaped.sum() / static_cast<double>(n * (n - 1));
}

class AllPairs : public ::testing::TestWithParam<ops::PairShape> {};

INSTANTIATE_TEST_SUITE_P(Shapes, AllPairs,
                         ::testing::Values(ops::PairShape::absolute, ops::PairShape::square),
                         [](const auto& info) {
                           return info.param == ops::PairShape::square ? "square" : "absolute";
                         });

TEST_P(AllPairs, ValueAndGradientAgreeWithTheWholeMatrix) {
  at::manual_seed(11);
  for (const auto& [n, d] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{2, 3}, {9, 20}, {40, 7}, {700, 16}}) {
    const at::Tensor rows = test::random_units(n, d).set_requires_grad(true);
    const at::Tensor expected = all_pairs_reference(rows, GetParam());
    const at::Tensor found = ops::all_pairs(rows, GetParam());
    EXPECT_NEAR(found.item<double>(), expected.item<double>(), 1e-12) << n << " x " << d;
    const at::Tensor of_expected = torch::autograd::grad({expected * 3}, {rows})[0];
    const at::Tensor of_found = torch::autograd::grad({found * 3}, {rows})[0];
    EXPECT_TRUE(at::allclose(of_found, of_expected, 1e-9, 1e-12)) << n << " x " << d;
  }
}

TEST_P(AllPairs, GradientsAgreeWithDifferences) {
  at::manual_seed(12);
  for (const std::int64_t n : {2, 5, 17}) {
    test::expect_gradients([&](const test::TensorList& in) { return ops::all_pairs(in[0], GetParam()); },
                           {test::random_units(n, 4)});
  }
}

TEST_P(AllPairs, ThreadsDoNotShow) {
  at::manual_seed(13);
  for (const std::int64_t n : {5, 23, 71, 130, 900}) {
    const at::Tensor rows = test::random_units(n, 100, at::kFloat).set_requires_grad(true);
    std::vector<at::Tensor> values;
    std::vector<at::Tensor> gradients;
    for (const int threads : {1, 2, 3}) {
      const test::Threads limit(threads);
      values.push_back(ops::all_pairs(rows, GetParam()));
      gradients.push_back(torch::autograd::grad({values.back()}, {rows})[0]);
      EXPECT_TRUE(test::same_bits(values.back(), values.front())) << n;
      EXPECT_TRUE(test::same_bits(gradients.back(), gradients.front())) << n;
    }
  }
}

TEST_P(AllPairs, FewerThanTwoRowsCostNothing) {
  const at::Tensor one = at::ones({1, 4}).set_requires_grad(true);
  const at::Tensor value = ops::all_pairs(one, GetParam());
  EXPECT_EQ(value.item<float>(), 0);
  EXPECT_TRUE(at::equal(torch::autograd::grad({value}, {one})[0], at::zeros({1, 4})));
  EXPECT_EQ(ops::all_pairs(at::ones({0, 4}), GetParam()).item<float>(), 0);
}

/// Nearest rows by the dot products as defined.
struct Expected {
  std::vector<std::int64_t> row;
  std::vector<std::int64_t> other;
  std::vector<double> share;
};

Expected brute_force(const at::Tensor& rows) {
  const at::Tensor sizes = test::defined_products(rows, rows).abs().to(at::kDouble);
  const std::int64_t n = rows.size(0);
  std::vector<bool> zero;
  for (std::int64_t i = 0; i < n; ++i) zero.push_back(rows[i].abs().max().item<double>() == 0);
  Expected expected;
  for (std::int64_t i = 0; i < n; ++i) {
    std::vector<std::int64_t> best;
    double largest = -1;
    for (std::int64_t j = 0; j < n; ++j) {
      if (i == j || zero[static_cast<std::size_t>(i)] || zero[static_cast<std::size_t>(j)]) continue;
      const double size = sizes.data_ptr<double>()[i * n + j];
      if (size > largest) best.clear();
      if (size >= largest) best.push_back(j);
      largest = std::max(largest, size);
    }
    for (const std::int64_t j : best) {
      expected.row.push_back(i);
      expected.other.push_back(j);
      expected.share.push_back(1.0 / static_cast<double>(best.size()));
    }
  }
  return expected;
}

void expect_nearest(const at::Tensor& rows) {
  const Expected expected = brute_force(rows);
  const ops::Neighbours found = ops::nearest_neighbours(rows);
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

TEST(NearestNeighboursTest, OrthogonalRowsTieAtZero) { expect_nearest(at::eye(20)); }

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
