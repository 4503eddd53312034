#include <regulon/codes.h>
#include <regulon/error.h>

#include "ops_reference.h"

namespace regulon {
namespace {

/// A random matrix of which about `share` is not zero.
at::Tensor sparse_matrix(std::int64_t rows, std::int64_t features, double share) {
  const at::Tensor kept = at::rand({rows, features}, at::kDouble) < share;
  return at::where(kept, at::rand({rows, features}, at::kDouble) + 0.1, 0);
}

Codes listed(const at::Tensor& matrix) {
  const Codes dense = Codes::dense(matrix);
  return Codes::sparse(matrix.size(1), dense.row_offsets(), dense.feature_ids(), dense.values());
}

TEST(CodesTest, ListsTheEntriesOfAMatrixByRowAndFeature) {
  const at::Tensor matrix = at::zeros({3, 5});
  matrix[0][4] = 2;
  matrix[0][1] = 1;
  matrix[2][0] = -3;
  const Codes codes = Codes::dense(matrix);
  EXPECT_FALSE(codes.is_sparse());
  EXPECT_EQ(codes.rows(), 3);
  EXPECT_EQ(codes.features(), 5);
  EXPECT_EQ(codes.entries(), 3);
  EXPECT_TRUE(at::equal(codes.row_offsets(), at::tensor({0, 2, 2, 3}, at::kLong)));
  EXPECT_TRUE(at::equal(codes.feature_ids(), at::tensor({1, 4, 0}, at::kInt)));
  EXPECT_TRUE(at::equal(codes.values(), at::tensor({1.F, 2.F, -3.F})));
  EXPECT_TRUE(at::equal(codes.entry_rows(), at::tensor({0, 0, 2}, at::kInt)));
  EXPECT_TRUE(at::equal(listed(matrix).to_dense(), matrix));
}

TEST(CodesTest, GradientsPassThroughBothForms) {
  at::manual_seed(5);
  const at::Tensor matrix = sparse_matrix(6, 9, 0.3);
  const at::Tensor pull = at::randn({6, 9}, at::kDouble);
  const Codes codes = listed(matrix);
  const at::Tensor values = codes.values().detach().clone().set_requires_grad(true);
  const at::Tensor of_values =
      torch::autograd::grad({(codes.with_values(values).to_dense() * pull).sum()}, {values})[0];
  EXPECT_TRUE(at::equal(of_values, pull.masked_select(matrix != 0)));

  const at::Tensor dense = matrix.clone().set_requires_grad(true);
  const Codes from_dense = Codes::dense(dense);
  const at::Tensor weights = at::randn({codes.entries()}, at::kDouble);
  const at::Tensor of_dense = torch::autograd::grad({(from_dense.values() * weights).sum()}, {dense})[0];
  EXPECT_TRUE(at::equal(of_dense, at::zeros_like(matrix).masked_scatter(matrix != 0, weights)));
}

TEST(CodesTest, TheOtherFormHasGradientEvenIfFirstMadeWithout) {
  const at::Tensor dense = at::ones({2, 2}).set_requires_grad(true);
  const Codes codes = Codes::dense(dense);
  {
    const at::NoGradGuard no_gradient;
    EXPECT_EQ(codes.entries(), 4);
  }
  EXPECT_TRUE(codes.values().requires_grad());
}

TEST(CodesTest, TheTransposeIsStableForEveryNumberOfThreads) {
  at::manual_seed(6);
  const at::Tensor matrix = sparse_matrix(700, 900, 0.3);
  ASSERT_GT(Codes::dense(matrix).entries(), 1 << 17);
  for (const int threads : {1, 2, 3}) {
    const test::Threads limit(threads);
    const Codes codes = listed(matrix);
    const FeatureOrder& order = codes.by_feature();
    const at::Tensor transposed = matrix.t().contiguous();
    const Codes expected = Codes::dense(transposed);
    EXPECT_TRUE(at::equal(order.offsets, expected.row_offsets()));
    EXPECT_TRUE(at::equal(order.rows, expected.feature_ids()));
    EXPECT_TRUE(at::equal(codes.values().index_select(0, order.entries), expected.values()));
  }
}

TEST(CodesTest, ChannelsBelongToTheirValues) {
  const Codes codes = listed(at::eye(3));
  const at::Tensor gate = at::ones({3}).set_requires_grad(true);
  const Codes with = codes.with_channel("gate", gate);
  EXPECT_FALSE(codes.has_channel("gate"));
  ASSERT_TRUE(with.has_channel("gate"));
  EXPECT_TRUE(with.channel("gate").requires_grad());
  EXPECT_FALSE(with.detach().channel("gate").requires_grad());
  EXPECT_FALSE(with.with_values(at::zeros({3})).has_channel("gate"));
  EXPECT_THROW(with.channel("open"), RunError);
  EXPECT_THROW(codes.with_channel("gate", at::ones({4})), RunError);
}

TEST(CodesTest, NoEntriesAndNoRowsWork) {
  const Codes none = Codes::sparse(4, at::zeros({1}, at::kLong), at::empty({0}, at::kInt), at::empty({0}));
  EXPECT_EQ(none.rows(), 0);
  EXPECT_EQ(none.to_dense().sizes(), (at::IntArrayRef{0, 4}));
  const Codes empty = Codes::dense(at::zeros({3, 4}));
  EXPECT_EQ(empty.entries(), 0);
  EXPECT_TRUE(at::equal(empty.by_feature().offsets, at::zeros({5}, at::kLong)));
}

TEST(CodesTest, WhatDoesNotFitIsRefused) {
  const at::Tensor offsets = at::tensor({0, 2}, at::kLong);
  const at::Tensor ids = at::tensor({0, 1}, at::kInt);
  const at::Tensor values = at::ones({2});
  EXPECT_NO_THROW(Codes::sparse(2, offsets, ids, values));
  EXPECT_THROW(Codes::sparse(2, offsets, ids, at::ones({3})), RunError);
  EXPECT_THROW(Codes::sparse(2, offsets, ids.to(at::kLong), values), RunError);
  EXPECT_THROW(Codes::sparse(2, offsets.to(at::kInt), ids, values), RunError);
  EXPECT_THROW(Codes::sparse(2, at::tensor({0, 1}, at::kLong), ids, values), RunError);
  EXPECT_THROW(Codes::sparse(-1, offsets, ids, values), RunError);
  EXPECT_THROW(Codes::dense(at::ones({2})), RunError);
  EXPECT_THROW(Codes::dense(at::ones({2, 2}, at::kLong)), RunError);
  EXPECT_THROW(Codes::sparse(2, offsets, ids, values).with_values(at::ones({1})), RunError);
}

}  // namespace
}  // namespace regulon
