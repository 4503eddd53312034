#include <regulon/ops.h>
#include <regulon/pairs.h>
#include <regulon/pending_gradients.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <stdexcept>

#include "ops_reference.h"
#include "tests/unit/support/expect_error.h"

namespace regulon {
namespace {

constexpr std::int64_t kFeatures = 1000;
constexpr std::int64_t kWidth = 200;

using Loss = std::function<at::Tensor(const at::Tensor&)>;

at::Tensor leaf(at::ScalarType type = at::kFloat) {
  at::manual_seed(31);
  return at::randn({kFeatures, kWidth}, type).set_requires_grad(true);
}

/// `rows` rows of a batch, each with `k` features of `dictionary`.
Codes encoded(const at::Tensor& dictionary, std::int64_t rows, std::int64_t k) {
  const at::Tensor batch =
      at::linspace(-1, 1, rows * kWidth, dictionary.options().requires_grad(false)).mul(50).sin();
  Selection best;
  best.family = Selection::Family::rank;
  best.k = k;
  return ops::select_product({batch.view({rows, kWidth}), dictionary, {}, {}}, best);
}

/// Reaches rows from two operations, whose sums read other matrices than the leaf.
at::Tensor by_rows(const at::Tensor& dictionary) {
  return ops::decode(encoded(dictionary, 40, 5), dictionary, {}).square().sum();
}
at::Tensor with_a_dense_use(const at::Tensor& dictionary) {
  return by_rows(dictionary) + dictionary.sin().sum();
}
/// Pulls rows of the leaf towards others of it.
at::Tensor with_pairs(const at::Tensor& dictionary) {
  const at::Tensor ids = at::arange(kFeatures - 1, at::kLong);
  return by_rows(dictionary) + ops::pair_cosines(dictionary, ids, ids + 1).square().sum();
}
/// Three features of 6,000 rows, all of them.
at::Tensor of_few_features(const at::Tensor& dictionary) {
  const at::Tensor values = at::linspace(-1, 1, 18000).cos();
  const at::Tensor offsets = at::arange(0, 18001, 3, at::kLong);
  const at::Tensor ids = at::arange(3, at::kInt).repeat({6000});
  const Codes codes = Codes::sparse(kFeatures, offsets, ids, values);
  return ops::decode(codes, dictionary, {}).sin().sum();
}

at::Tensor usual_gradient(const Loss& loss) {
  const at::Tensor rows = leaf();
  loss(rows).backward();
  return rows.grad();
}

/// Largest difference, as a share of the largest of `expected`.
double difference(const at::Tensor& found, const at::Tensor& expected) {
  return (found - expected).abs().max().item<double>() / expected.abs().max().item<double>();
}

/// Rows [first, n) of pending ones.
at::Tensor visited(const ops::PendingRows& rows, std::int64_t first = 0) {
  at::Tensor all = at::zeros({kFeatures, kWidth});
  std::vector<std::atomic<int>> calls(kFeatures);
  rows.visit(first, [&](std::int64_t row, const float* gradient) {
    ++calls[static_cast<std::size_t>(row)];
    std::copy_n(gradient, kWidth, all.data_ptr<float>() + row * kWidth);
  });
  for (std::int64_t row = 0; row < kFeatures; ++row)
    EXPECT_EQ(calls[static_cast<std::size_t>(row)], row < first ? 0 : 1);
  return all;
}

TEST(PendingGradients, RowsAreTheBitsOfTheGradientThatIsMadeAtOnce) {
  for (const Loss& loss : {Loss(by_rows), Loss(with_a_dense_use)}) {
    const at::Tensor expected = usual_gradient(loss);
    for (const int threads : {1, 3}) {
      const test::Threads guard(threads);
      const at::Tensor rows = leaf();
      const at::Tensor value = loss(rows);
      ops::PendingGradients gradients({rows});
      value.backward();
      const ops::PendingRows pending = gradients.take(0);
      ASSERT_FALSE(pending.empty());
      EXPECT_FALSE(rows.grad().defined());
      EXPECT_TRUE(test::same_bits(visited(pending), expected));
      EXPECT_TRUE(test::same_bits(visited(pending), expected)) << "once more";
      EXPECT_TRUE(test::same_bits(pending.make(), expected));
      at::Tensor later = visited(pending, 7);
      later.narrow(0, 0, 7).copy_(expected.narrow(0, 0, 7));
      EXPECT_TRUE(test::same_bits(later, expected));
    }
  }
}

TEST(PendingGradients, WhatHadBetterNotWaitIsMade) {
  for (const Loss& loss : {Loss(with_pairs), Loss(of_few_features)}) {
    const at::Tensor rows = leaf();
    const at::Tensor value = loss(rows);
    ops::PendingGradients gradients({rows});
    value.backward();
    EXPECT_TRUE(gradients.take(0).empty());
    EXPECT_TRUE(test::same_bits(rows.grad(), usual_gradient(loss)));
  }
  const at::Tensor rows = leaf(at::kDouble);
  const at::Tensor value = by_rows(rows);
  ops::PendingGradients gradients({rows});
  value.backward();
  EXPECT_TRUE(gradients.take(0).empty());
  const at::Tensor usual = leaf(at::kDouble);
  by_rows(usual).backward();
  EXPECT_TRUE(test::same_bits(rows.grad(), usual.grad()));
}

TEST(PendingGradients, RowsOfAnotherLeafDoNotWait) {
  const at::Tensor dictionary = leaf();
  const at::Tensor other = at::ones({kFeatures, kWidth}).set_requires_grad(true);
  // What `other` gets is a sum of rows of the dictionary, which the optimiser changes before.
  constexpr std::int64_t kFirst = 3;
  const std::int64_t count = kFeatures - kFirst;
  const Codes some = Codes::sparse(kFeatures, at::arange(count + 1, at::kLong), at::arange(count, at::kInt),
                                   at::ones({count}));
  const at::Tensor part = dictionary.detach().narrow(0, kFirst, count);
  const at::Tensor value = ops::decode(some, other, {});
  ops::PendingGradients gradients({dictionary, other});
  value.backward(part);
  EXPECT_TRUE(gradients.take(0).empty());
  EXPECT_FALSE(dictionary.grad().defined());
  EXPECT_TRUE(gradients.take(1).empty());
  EXPECT_TRUE(at::equal(other.grad().narrow(0, 0, count), part));
}

TEST(PendingGradients, ADenseUseAloneIsAsUsual) {
  const at::Tensor rows = leaf();
  ops::PendingGradients gradients({rows});
  rows.sin().sum().backward();
  EXPECT_TRUE(gradients.take(0).empty());
  EXPECT_TRUE(at::equal(rows.grad(), rows.detach().cos()));
}

TEST(PendingGradients, SeveralBackwardsAddUp) {
  const at::Tensor expected = usual_gradient(by_rows);
  const at::Tensor rows = leaf();
  const at::Tensor value = by_rows(rows);
  ops::PendingGradients gradients({rows});
  value.backward({}, /*retain_graph=*/true);
  value.backward();
  EXPECT_LT(difference(visited(gradients.take(0)), 2 * expected), 1e-6);
  EXPECT_TRUE(gradients.take(0).empty()) << "taken";
}

TEST(PendingGradients, WhatNobodyTakesIsGone) {
  const at::Tensor rows = leaf();
  const at::Tensor value = by_rows(rows);  // its graph outlives who keeps
  {
    ops::PendingGradients gradients({rows});
    value.backward({}, /*retain_graph=*/true);
  }
  EXPECT_FALSE(rows.grad().defined());
  {
    ops::PendingGradients gradients({rows});
    EXPECT_TRUE(gradients.take(0).empty());
  }
  value.backward();
  EXPECT_TRUE(test::same_bits(rows.grad(), usual_gradient(by_rows)));
}

TEST(PendingGradients, WhatABackwardThatThrewHasLeftIsGone) {
  const at::Tensor rows = leaf();
  const at::Tensor failing = rows * 1;
  failing.register_hook([](const at::Tensor&) -> at::Tensor { throw std::runtime_error("on purpose"); });
  const at::Tensor early = failing.sum();
  const at::Tensor value = by_rows(rows);
  ops::PendingGradients gradients({rows});
  EXPECT_THROW((early + value).backward({}, /*retain_graph=*/true), std::exception);
  EXPECT_TRUE(gradients.take(0).empty());
  value.backward();
  EXPECT_TRUE(test::same_bits(visited(gradients.take(0)), usual_gradient(by_rows)));
}

TEST(PendingGradients, AGradientThatIsThereIsPartOfThem) {
  const at::Tensor rows = leaf();
  const at::Tensor before = leaf().detach().cos();
  rows.mutable_grad() = before.t().contiguous().t();  // of other strides, too
  const at::Tensor value = by_rows(rows);
  ops::PendingGradients gradients({rows});
  value.backward();
  const ops::PendingRows pending = gradients.take(0);
  EXPECT_FALSE(rows.grad().defined());
  EXPECT_LT(difference(pending.make(), before + usual_gradient(by_rows)), 1e-6);
  EXPECT_TRUE(test::same_bits(visited(pending), pending.make()));
}

TEST(PendingGradients, NestedBackwardsAreKeptToo) {
  const at::Tensor rows = leaf();
  const at::Tensor scale = at::ones({}).set_requires_grad(true);
  const at::Tensor nested = test::running_in_backward(scale, [&] { by_rows(rows).backward(); });
  const at::Tensor value = by_rows(rows) + nested;
  ops::PendingGradients gradients({rows});
  value.backward();
  EXPECT_LT(difference(gradients.take(0).make(), 2 * usual_gradient(by_rows)), 1e-6);
}

TEST(PendingGradients, WhoLooksAtTheGradientSeesAllOfIt) {
  struct After final : torch::autograd::PostAccumulateGradHook {
    explicit After(at::Tensor& where) : seen(where) {}
    void operator()(const torch::autograd::Variable& tensor) override { seen = tensor.grad().clone(); }
    at::Tensor& seen;
  };
  const at::Tensor expected = usual_gradient(by_rows);
  at::Tensor seen;
  const at::Tensor watched = leaf();
  torch::autograd::impl::set_post_acc_grad_hooks(watched, std::make_unique<After>(seen));
  const at::Tensor hooked = leaf();
  at::Tensor by_hook;
  hooked.register_hook([&](const at::Tensor& gradient) { by_hook = gradient.clone(); });
  struct Node final : torch::autograd::FunctionPostHook, torch::autograd::FunctionPreHook {
    torch::autograd::variable_list operator()(const torch::autograd::variable_list& results,
                                              const torch::autograd::variable_list&) override {
      return results;
    }
    torch::autograd::variable_list operator()(const torch::autograd::variable_list& gradients) override {
      return gradients;
    }
  };
  const at::Tensor before_node = leaf();
  const auto first = torch::autograd::impl::grad_accumulator(before_node);
  first->add_pre_hook(std::make_unique<Node>());
  const at::Tensor after_node = leaf();
  const auto last = torch::autograd::impl::grad_accumulator(after_node);
  last->add_post_hook(std::make_unique<Node>());
  for (const at::Tensor& rows : {watched, hooked, before_node, after_node}) {
    const at::Tensor value = by_rows(rows);
    ops::PendingGradients gradients({rows});
    value.backward();
    EXPECT_TRUE(gradients.take(0).empty());
    EXPECT_LT(difference(rows.grad(), expected), 1e-5);
  }
  EXPECT_TRUE(test::same_bits(seen, expected));
  EXPECT_TRUE(test::same_bits(by_hook, hooked.grad()));
}

TEST(PendingGradients, ALeafHasOneAtATime) {
  const at::Tensor rows = leaf();
  const at::Tensor value = by_rows(rows);
  ops::PendingGradients gradients({rows});
  value.backward();
  const at::Tensor other = leaf();
  tests::expect_error<RunError>(
      [&] {
        const ops::PendingGradients second({other, rows});
      },
      {"leaves[1]", "[1000, 200] Float on cpu", "Give each leaf once"});
  EXPECT_FALSE(gradients.take(0).empty()) << "the second has taken nothing from the first";
  tests::expect_error<RunError>([&] { const ops::PendingGradients twice({other, other}); }, {"leaves[1]"});
  tests::expect_error<RunError>(
      [&] {
        const ops::PendingGradients none({other, at::Tensor()});
      },
      {"leaves[1]", "found nothing"});
  EXPECT_THROW(static_cast<void>(gradients.take(1)), std::out_of_range);
}

TEST(PendingGradients, RowsThatAreNotThereAreRefused) {
  const auto nothing = [](std::int64_t, const float*) {};
  tests::expect_error<RunError>([&] { ops::PendingRows().visit(0, nothing); }, {"no gradient is pending"});
  tests::expect_error<RunError>([&] { static_cast<void>(ops::PendingRows().make()); }, {"Ask empty() first"});
  const at::Tensor rows = leaf();
  const at::Tensor value = by_rows(rows);
  ops::PendingGradients gradients({rows});
  value.backward();
  const ops::PendingRows pending = gradients.take(0);
  tests::expect_error<RunError>([&] { pending.visit(-1, nothing); }, {"a row in [0, 1000]", "found -1"});
  tests::expect_error<RunError>([&] { pending.visit(1001, nothing); }, {"found 1001"});
  pending.visit(1000, [](std::int64_t, const float*) { FAIL() << "no row is left"; });
}

TEST(PendingGradients, WhatIsNoLeafHasNone) {
  const at::Tensor constant = leaf().detach();
  const at::Tensor made = leaf() * 1;
  const at::Tensor value = by_rows(made);
  ops::PendingGradients gradients({constant, made});
  value.backward();
  for (const std::size_t index : {0, 1}) EXPECT_TRUE(gradients.take(index).empty());
}

TEST(PendingGradients, RowsWithoutWidthAreVisited) {
  const at::Tensor rows = at::zeros({40, 0}).set_requires_grad(true);
  const Codes codes = Codes::sparse(40, at::arange(3, at::kLong), at::arange(2, at::kInt), at::ones({2}));
  const at::Tensor value = ops::decode(codes, rows, {}).sum();
  ops::PendingGradients gradients({rows});
  value.backward();
  const ops::PendingRows pending = gradients.take(0);
  std::atomic<int> calls = 0;
  ASSERT_FALSE(pending.empty());
  pending.visit(0, [&](std::int64_t, const float*) { ++calls; });
  EXPECT_EQ(calls, 40);
}

TEST(PendingGradients, KeepNothingAlive) {
  c10::weak_intrusive_ptr<at::TensorImpl> left(at::ones({1}).getIntrusivePtr());
  {
    const at::Tensor rows = leaf();
    left = c10::weak_intrusive_ptr<at::TensorImpl>(rows.getIntrusivePtr());
    Selection best;
    best.family = Selection::Family::rank;
    best.k = 5;
    // The batch is made from the rows: its graph holds the node that takes their gradient.
    const at::Tensor value =
        ops::select_product({(rows * 2).narrow(0, 0, 30), rows, {}, {}}, best).values().sum();
    ops::PendingGradients gradients({rows});
    value.backward();
    EXPECT_FALSE(gradients.take(0).empty());
  }
  EXPECT_TRUE(left.expired());
}

}  // namespace
}  // namespace regulon
