#include <regulon/ops.h>
#include <regulon/pairs.h>
#include <regulon/shared_gradient.h>
#include <torch/csrc/autograd/autograd.h>

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

TEST(SharedGradientTest, IsTheSumOfTheGradientsOfEveryUse) {
  for (const bool with_dense_use : {false, true}) {
    for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
      const at::Tensor apart = leaf(type);
      many_uses(apart, with_dense_use).backward();
      const at::Tensor shared = leaf(type);
      many_uses(ops::share_gradient(shared), with_dense_use).backward();
      const double tolerance = type == at::kDouble ? 1e-13 : 1e-5;
      const double largest = apart.grad().abs().max().item<double>();
      EXPECT_LT((apart.grad() - shared.grad()).abs().max().item<double>(), tolerance * largest);
    }
  }
}

TEST(SharedGradientTest, OneUseKeepsItsBits) {
  const at::Tensor pairs = at::arange(kSharedRows - 1, at::kLong);
  const at::Tensor apart = leaf(at::kFloat);
  ops::pair_cosines(apart, pairs, pairs + 1).sum().backward();
  const at::Tensor shared = leaf(at::kFloat);
  ops::pair_cosines(ops::share_gradient(shared), pairs, pairs + 1).sum().backward();
  EXPECT_TRUE(test::same_bits(apart.grad(), shared.grad()));
}

TEST(SharedGradientTest, ThreadsDoNotShow) {
  at::Tensor gradients[2];
  for (const int threads : {1, 3}) {
    const test::Threads guard(threads);
    const at::Tensor rows = leaf(at::kFloat);
    many_uses(ops::share_gradient(rows), true).backward();
    gradients[threads / 2] = rows.grad();
  }
  EXPECT_TRUE(test::same_bits(gradients[0], gradients[1]));
}

TEST(SharedGradientTest, NothingIsLeftForTheNextBackward) {
  const at::Tensor rows = leaf(at::kDouble);
  const at::Tensor shared = ops::share_gradient(rows);
  const Codes codes = Codes::dense(at::eye(kSharedRows, at::kDouble));
  const at::Tensor values = codes.values().clone().set_requires_grad(true);
  const at::Tensor sum = ops::decode(codes.with_values(values), shared, {}).square().sum();
  // Of the values alone: what the rows would get is not wanted, and must not wait for the next.
  static_cast<void>(torch::autograd::grad({sum}, {values}, {}, /*retain_graph=*/true));
  sum.backward({}, /*retain_graph=*/true);
  EXPECT_TRUE(at::allclose(rows.grad(), 2 * rows.detach()));
  sum.backward();
  EXPECT_TRUE(at::allclose(rows.grad(), 4 * rows.detach()));
}

TEST(SharedGradientTest, WhoAsksForTheGradientOfTheSharedRowsGetsAllOfIt) {
  const at::Tensor apart = leaf(at::kDouble);
  many_uses(apart, true).backward();
  const at::Tensor rows = leaf(at::kDouble);
  const at::Tensor shared = ops::share_gradient(rows);
  const at::Tensor sum = many_uses(shared, true);
  const auto asked = torch::autograd::grad({sum}, {shared}, {}, /*retain_graph=*/true);
  EXPECT_TRUE(at::allclose(asked[0], apart.grad(), 1e-12, 1e-12));
  const auto both = torch::autograd::grad({sum}, {shared, rows}, {}, /*retain_graph=*/true);
  EXPECT_TRUE(at::allclose(both[0], apart.grad(), 1e-12, 1e-12));
  EXPECT_TRUE(at::allclose(both[1], apart.grad(), 1e-12, 1e-12));
  sum.backward();
  EXPECT_TRUE(at::allclose(rows.grad(), apart.grad(), 1e-12, 1e-12));
}

TEST(SharedGradientTest, HooksOnTheSharedRowsSeeAllOfIt) {
  const at::Tensor apart = leaf(at::kDouble);
  many_uses(apart, true).backward();
  const at::Tensor shared = ops::share_gradient(leaf(at::kDouble));
  at::Tensor seen = at::zeros_like(apart);
  shared.register_hook([&](const at::Tensor& gradient) { seen = seen + gradient; });
  many_uses(shared, true).backward();
  EXPECT_TRUE(at::allclose(seen, apart.grad(), 1e-12, 1e-12));
  const at::Tensor kept = ops::share_gradient(leaf(at::kDouble));
  kept.retain_grad();
  many_uses(kept, true).backward();
  EXPECT_TRUE(at::allclose(kept.grad(), apart.grad(), 1e-12, 1e-12));
}

TEST(SharedGradientTest, ABackwardThatThrowsKeepsNothingAlive) {
  c10::weak_intrusive_ptr<at::TensorImpl> left(at::ones({1}).getIntrusivePtr());
  {
    const at::Tensor shared = ops::share_gradient(leaf(at::kDouble));
    left = c10::weak_intrusive_ptr<at::TensorImpl>(shared.getIntrusivePtr());
    const at::Tensor failing = shared * 1;
    failing.register_hook([](const at::Tensor&) -> at::Tensor { throw std::runtime_error("on purpose"); });
    const at::Tensor ids = at::arange(kSharedRows - 1, at::kLong);
    const at::Tensor sum = failing.sum() + ops::pair_cosines(shared, ids, ids + 1).sum();
    EXPECT_THROW(sum.backward(), std::exception);
  }
  EXPECT_TRUE(left.expired());
}

TEST(SharedGradientTest, RowsWithoutGradientStayThemselves) {
  const at::Tensor rows = leaf(at::kFloat);
  EXPECT_TRUE(ops::share_gradient(rows.detach()).grad_fn() == nullptr);
  const at::NoGradGuard no_grad;
  EXPECT_TRUE(ops::share_gradient(rows).is_same(rows));
}

}  // namespace
}  // namespace regulon
