#include <regulon/ops.h>
#include <regulon/pairs.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include "ops_reference.h"

namespace regulon {
namespace {

constexpr std::int64_t kSharedRows = 200;
constexpr std::int64_t kSharedWidth = 24;

/// A scalar of every operation that reaches single rows, on the same rows, and of one that does not.
at::Tensor many_uses(const at::Tensor& rows, bool with_dense_use) {
  const at::Tensor batch = at::linspace(-1, 1, 30 * kSharedWidth, rows.options().requires_grad(false)).sin();
  Selection best;
  best.family = Selection::Family::rank;
  best.k = 5;
  const Codes codes = ops::select_product({batch.view({30, kSharedWidth}), rows, {}, {}}, best);
  const at::Tensor ids = at::arange(kSharedRows, at::kLong);
  const at::Tensor cosines = ops::pair_cosines(rows, ids, (ids * 7 + 3).remainder(kSharedRows));
  at::Tensor sum = ops::decode(codes, rows, {}).square().sum() + 3 * cosines.square().sum();
  sum = sum + ops::decode(codes.with_values(codes.values().detach()), rows, {}).exp().sum();
  return with_dense_use ? sum + rows.pow(3).sum() : sum;
}

at::Tensor leaf(at::ScalarType type) {
  at::manual_seed(71);
  return at::randn({kSharedRows, kSharedWidth}, type).set_requires_grad(true);
}

/// The gradient as autograd adds it up of what each operation makes on its own: of rows that are no leaf.
at::Tensor added_up(at::ScalarType type, bool with_dense_use) {
  const at::Tensor rows = leaf(type);
  many_uses(rows.alias(), with_dense_use).backward();
  return rows.grad();
}

TEST(SharedGradientTest, IsTheSumOfTheGradientsOfEveryUse) {
  for (const bool with_dense_use : {false, true}) {
    for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
      const at::Tensor apart = added_up(type, with_dense_use);
      const at::Tensor shared = leaf(type);
      many_uses(shared, with_dense_use).backward();
      const double tolerance = type == at::kDouble ? 1e-13 : 1e-5;
      const double largest = apart.abs().max().item<double>();
      EXPECT_LT((apart - shared.grad()).abs().max().item<double>(), tolerance * largest);
    }
  }
}

TEST(SharedGradientTest, OneUseKeepsItsBits) {
  const at::Tensor pairs = at::arange(kSharedRows - 1, at::kLong);
  const at::Tensor apart = leaf(at::kFloat);
  ops::pair_cosines(apart.alias(), pairs, pairs + 1).sum().backward();
  const at::Tensor shared = leaf(at::kFloat);
  ops::pair_cosines(shared, pairs, pairs + 1).sum().backward();
  EXPECT_TRUE(test::same_bits(apart.grad(), shared.grad()));
}

TEST(SharedGradientTest, ThreadsDoNotShow) {
  at::Tensor gradients[2];
  for (const int threads : {1, 3}) {
    const test::Threads guard(threads);
    const at::Tensor rows = leaf(at::kFloat);
    many_uses(rows, true).backward();
    gradients[threads / 2] = rows.grad();
  }
  EXPECT_TRUE(test::same_bits(gradients[0], gradients[1]));
}

TEST(SharedGradientTest, NothingIsLeftForTheNextBackward) {
  const at::Tensor rows = leaf(at::kDouble);
  const Codes codes = Codes::dense(at::eye(kSharedRows, at::kDouble));
  const at::Tensor values = codes.values().clone().set_requires_grad(true);
  const at::Tensor sum = ops::decode(codes.with_values(values), rows, {}).square().sum();
  // Of the values alone: what the rows would get is not wanted, and must not wait for the next.
  static_cast<void>(torch::autograd::grad({sum}, {values}, {}, /*retain_graph=*/true));
  sum.backward({}, /*retain_graph=*/true);
  EXPECT_TRUE(at::allclose(rows.grad(), 2 * rows.detach()));
  sum.backward();
  EXPECT_TRUE(at::allclose(rows.grad(), 4 * rows.detach()));
}

TEST(SharedGradientTest, WhoAsksForTheGradientGetsAllOfIt) {
  const at::Tensor apart = added_up(at::kDouble, true);
  const at::Tensor rows = leaf(at::kDouble);
  const at::Tensor sum = many_uses(rows, true);
  const auto asked = torch::autograd::grad({sum}, {rows}, {}, /*retain_graph=*/true);
  EXPECT_TRUE(at::allclose(asked[0], apart, 1e-12, 1e-12));
  EXPECT_FALSE(rows.grad().defined());
  sum.backward();
  EXPECT_TRUE(at::allclose(rows.grad(), apart, 1e-12, 1e-12));
}

TEST(SharedGradientTest, HooksOnTheRowsSeeAllOfIt) {
  const at::Tensor apart = added_up(at::kDouble, true);
  const at::Tensor rows = leaf(at::kDouble);
  at::Tensor seen = at::zeros_like(apart);
  rows.register_hook([&](const at::Tensor& gradient) { seen = seen + gradient; });
  many_uses(rows, true).backward();
  EXPECT_TRUE(at::allclose(seen, apart, 1e-12, 1e-12));
  EXPECT_TRUE(at::allclose(rows.grad(), apart, 1e-12, 1e-12));
}

TEST(SharedGradientTest, WhatABackwardThatThrewHasLeftIsNotOfTheNext) {
  const at::Tensor apart = added_up(at::kDouble, false);
  const at::Tensor rows = leaf(at::kDouble);
  const at::Tensor failing = rows * 1;
  failing.register_hook([](const at::Tensor&) -> at::Tensor { throw std::runtime_error("on purpose"); });
  const at::Tensor ids = at::arange(kSharedRows - 1, at::kLong);
  const at::Tensor sum = failing.sum() + ops::pair_cosines(rows, ids, ids + 1).sum();
  EXPECT_THROW(sum.backward(), std::exception);
  EXPECT_FALSE(rows.grad().defined());
  many_uses(rows, false).backward();
  EXPECT_TRUE(at::allclose(rows.grad(), apart, 1e-12, 1e-12));
}

TEST(SharedGradientTest, GraphsOfSeveralStepsDoNotMeet) {
  const at::Tensor rows = leaf(at::kDouble);
  const at::Tensor ids = at::arange(kSharedRows - 1, at::kLong);
  const at::Tensor first = ops::pair_cosines(rows, ids, ids + 1).sum();
  const at::Tensor second = ops::pair_cosines(rows, ids, ids + 1).sum();
  first.backward();
  const at::Tensor once = rows.grad().clone();
  second.backward();
  EXPECT_TRUE(at::allclose(rows.grad(), 2 * once, 1e-12, 1e-12));
}

TEST(SharedGradientTest, AllUsesMeetInOnePlace) {
  const at::Tensor rows = leaf(at::kDouble);
  const at::Tensor sum = many_uses(rows, true);
  EXPECT_EQ(torch::autograd::impl::grad_accumulator(rows)->pre_hooks().size(), 1U);
}

TEST(SharedGradientTest, NothingOutlivesTheRows) {
  c10::weak_intrusive_ptr<at::TensorImpl> left(at::ones({1}).getIntrusivePtr());
  {
    const at::Tensor rows = leaf(at::kDouble);
    left = c10::weak_intrusive_ptr<at::TensorImpl>(rows.getIntrusivePtr());
    many_uses(rows, true).backward();
    const at::Tensor unused = many_uses(rows, true);
  }
  EXPECT_TRUE(left.expired());
}

}  // namespace
}  // namespace regulon
