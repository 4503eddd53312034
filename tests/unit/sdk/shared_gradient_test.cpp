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

/// Throws when backward comes to it, after all that was made of its result later on.
at::Tensor failing_use(const at::Tensor& rows) {
  const at::Tensor failing = rows * 1;
  failing.register_hook([](const at::Tensor&) -> at::Tensor { throw std::runtime_error("on purpose"); });
  return failing.sum();
}

TEST(SharedGradientTest, WhatABackwardThatThrewHasLeftIsNotOfTheNext) {
  const at::Tensor apart = added_up(at::kDouble, false);
  const at::Tensor rows = leaf(at::kDouble);
  const at::Tensor early = failing_use(rows);
  const at::Tensor uses = many_uses(rows, false);  // made later: backward comes to them first
  EXPECT_THROW((early + uses).backward({}, /*retain_graph=*/true), std::exception);
  EXPECT_FALSE(rows.grad().defined());
  uses.backward();
  EXPECT_TRUE(at::allclose(rows.grad(), apart, 1e-12, 1e-12));
}

TEST(SharedGradientTest, ABackwardThatThrewKeepsNothingAlive) {
  c10::weak_intrusive_ptr<at::TensorImpl> left(at::ones({1}).getIntrusivePtr());
  {
    const at::Tensor rows = leaf(at::kDouble);
    left = c10::weak_intrusive_ptr<at::TensorImpl>(rows.getIntrusivePtr());
    const at::Tensor early = failing_use(rows);
    Selection best;
    best.family = Selection::Family::rank;
    best.k = 5;
    // The batch is made from the rows: its graph holds the node that takes their gradient.
    const Codes codes = ops::select_product({(rows * 2).narrow(0, 0, 30), rows, {}, {}}, best);
    const at::Tensor uses = codes.values().sum();
    EXPECT_THROW((early + uses).backward(), std::exception);
  }
  EXPECT_TRUE(left.expired());
}

TEST(SharedGradientTest, NestedBackwardsKeepApart) {
  const at::Tensor apart = added_up(at::kDouble, false);
  const at::Tensor inner = leaf(at::kDouble);
  const at::Tensor ids = at::arange(kSharedRows - 1, at::kLong);
  (ops::pair_cosines(inner, ids, ids + 1).sum() + inner.sin().sum()).backward();

  const at::Tensor rows = leaf(at::kDouble);
  const at::Tensor scale = at::ones({}, at::kDouble).set_requires_grad(true);
  const at::Tensor nested = test::running_in_backward(scale, [&] {
    ops::pair_cosines(rows, ids, ids + 1).sum().backward();
    rows.sin().sum().backward();  // a use of another kind, alone
  });
  const at::Tensor uses = many_uses(rows, false);  // made later: they wait while the nested ones run
  (uses + nested).backward();
  EXPECT_TRUE(at::allclose(rows.grad(), apart + inner.grad(), 1e-12, 1e-12));
}

TEST(SharedGradientTest, BackwardOfChosenLeavesIsTheirs) {
  const at::Tensor apart = added_up(at::kDouble, true);
  const at::Tensor rows = leaf(at::kDouble);
  const at::Tensor other = at::ones({}, at::kDouble).set_requires_grad(true);
  const at::Tensor sum = many_uses(rows, true) * other;
  sum.backward({}, /*retain_graph=*/true, /*create_graph=*/false, std::vector<at::Tensor>{other});
  EXPECT_FALSE(rows.grad().defined());
  sum.backward({}, /*retain_graph=*/false, /*create_graph=*/false, std::vector<at::Tensor>{rows});
  EXPECT_TRUE(at::allclose(rows.grad(), apart, 1e-12, 1e-12));
}

TEST(SharedGradientTest, OperationsLeaveTheSumToTheLeaf) {
  const at::Tensor rows = leaf(at::kDouble);
  const at::Tensor ids = at::arange(kSharedRows - 1, at::kLong);
  const at::Tensor cosines = ops::pair_cosines(rows, ids, ids + 1);
  const at::Tensor others = ops::pair_cosines(rows, ids + 1, ids);
  EXPECT_EQ(torch::autograd::impl::grad_accumulator(rows)->pre_hooks().size(), 1U);
  struct Looks final : torch::autograd::FunctionPostHook {
    explicit Looks(int& count) : handed_in(count) {}
    torch::autograd::variable_list operator()(const torch::autograd::variable_list& results,
                                              const torch::autograd::variable_list& /*gradients*/) override {
      if (!results[0].defined()) ++handed_in;
      return results;
    }
    int& handed_in;
  };
  int handed_in = 0;
  for (const at::Tensor& one : {cosines, others}) {
    one.grad_fn()->add_post_hook(std::make_unique<Looks>(handed_in));
  }
  (cosines.sum() + others.sum()).backward();
  EXPECT_EQ(handed_in, 2);
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
