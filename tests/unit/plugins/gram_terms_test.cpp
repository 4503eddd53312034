/// gram_identity and reconstruction_ica against plain dense formulas, differentiated by autograd in double.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <regulon/gram.h>
#include <regulon/loss_term.h>

#include <algorithm>
#include <cmath>

#include "tests/unit/support/dictionary_step.h"
#include "tests/unit/support/gradients.h"
#include "tests/unit/support/load_plugin.h"
#include "tests/unit/support/toy_step.h"

namespace regulon::gram_terms_test {
namespace {

using tests::DictionaryStep;
using tests::normal;
using Settings = std::map<std::string, ParamValue>;

at::Tensor leaf(at::IntArrayRef shape, std::uint64_t seed) {
  return normal(shape, seed).requires_grad_(true);
}

/// Of all pairs (i, j) with i at least `frozen`: the squares of W Wᵀ - I, or of cosines, as an n x n matrix.
at::Tensor dense_gram_identity(const at::Tensor& weight, std::int64_t frozen, bool raw) {
  const std::int64_t n = weight.size(0);
  const at::Tensor held =
      at::cat({weight.narrow(0, 0, frozen).detach(), weight.narrow(0, frozen, n - frozen)});
  const at::Tensor rows = raw ? held : held / held.norm(2, 1, true).clamp_min(1e-300);
  const at::Tensor eye = at::eye(n, weight.options().requires_grad(false));
  const at::Tensor products = at::matmul(rows, rows.t());
  const at::Tensor off = raw ? products - eye : products * (1 - eye);
  const double pairs = static_cast<double>((n - frozen) * std::max<std::int64_t>(1, n - 1));
  return off.narrow(0, frozen, n - frozen).square().sum() / pairs;
}

/// Expects `term` to have the value and the gradient of `reference`, and the gradient of finite differences.
/// Frozen rows have none in either.
void expect_like(LossTerm& term, const DictionaryStep& step, const std::function<at::Tensor()>& reference,
                 const std::string& what) {
  const auto value = [&] { return term.value(step.view()); };
  EXPECT_EQ(value().dim(), 0) << what;
  EXPECT_NEAR(value().item<double>(), reference().item<double>(), 1e-12 * (1 + reference().item<double>()))
      << what;
  const at::Tensor found = tests::autograd_gradient(value, step.weight);
  const at::Tensor expected = tests::autograd_gradient(reference, step.weight);
  const double scale = 1 + expected.abs().max().item<double>();
  EXPECT_LT((found - expected).abs().max().item<double>(), 1e-12 * scale) << what;
  if (step.frozen_rows == 0) tests::expect_gradient(value, step.weight, what, 1e-5);
  EXPECT_EQ(found.narrow(0, 0, step.frozen_rows).abs().sum().item<double>(), 0.0) << what;
}

TEST(GramIdentity, IsTheMeanOfAllPairsAsADenseFormulaHasIt) {
  for (const bool raw : {false, true}) {
    const auto term = tests::make_plugin<LossTerm>("gram_identity", {{"norms", raw}});
    for (const auto& [n, d] : std::vector<std::pair<int, int>>{{9, 4}, {3, 6}, {2, 2}, {1, 3}}) {
      for (const std::int64_t frozen : {0, n / 2}) {
        if (n == 1 && !raw) continue;  // no pair: see below
        const DictionaryStep step{leaf({n, d}, 5), frozen};
        expect_like(
            *term, step, [&] { return dense_gram_identity(step.weight, frozen, raw); },
            std::to_string(n) + " rows, " + std::to_string(frozen) + " frozen, raw " + std::to_string(raw));
      }
    }
  }
}

TEST(GramIdentity, OneRowAndZeroRowsArePairedWithNothing) {
  const auto term = tests::make_plugin<LossTerm>("gram_identity");
  const DictionaryStep one{leaf({1, 3}, 5)};
  EXPECT_NEAR(term->value(one.view()).item<double>(), 0.0, 1e-15);
  EXPECT_LT(tests::autograd_gradient([&] { return term->value(one.view()); }, one.weight)
                .abs()
                .max()
                .item<double>(),
            1e-12);

  at::Tensor rows = normal({4, 3}, 6);
  rows[2].zero_();
  const DictionaryStep with_zeros{rows.requires_grad_(true)};
  expect_like(
      *term, with_zeros, [&] { return dense_gram_identity(with_zeros.weight, 0, false); }, "a zero row");
}

TEST(GramIdentity, ReachesTheSquaredWelchBoundOnATightFrameAndOneOnEqualRows) {
  const auto term = tests::make_plugin<LossTerm>("gram_identity");
  // Three lines at 120 degrees in the plane: every cosine is a half.
  const double h = std::sqrt(3.0) / 2;
  const DictionaryStep frame{
      at::tensor({1.0, 0.0, -0.5, h, -0.5, -h}, at::kDouble).view({3, 2}).requires_grad_(true)};
  EXPECT_NEAR(term->value(frame.view()).item<double>(), (3.0 - 2.0) / (2.0 * (3.0 - 1.0)), 1e-12);
  const DictionaryStep same{at::ones({5, 4}, at::kDouble).requires_grad_(true)};
  EXPECT_NEAR(term->value(same.view()).item<double>(), 1.0, 1e-12);
}

TEST(GramIdentity, SitsOutWhereAllRowsAreFrozen) {
  const DictionaryStep step{leaf({3, 2}, 7), 3};
  EXPECT_FALSE(tests::make_plugin<LossTerm>("gram_identity")->value(step.view()).defined());
}

TEST(ReconstructionIca, SitsOutWhereAllRowsAreFrozen) {
  DictionaryStep step{leaf({3, 2}, 7), 3};
  step.batch = normal({7, 2}, 10);
  EXPECT_FALSE(tests::make_plugin<LossTerm>("reconstruction_ica")->value(step.view()).defined());
}

/// mean over rows of |s x Wᵀ W - x|², written out.
at::Tensor dense_ica(const DictionaryStep& step, double s, bool mean) {
  const std::int64_t learning = step.weight.size(0) - step.frozen_rows;
  const at::Tensor weight = at::cat({step.weight.narrow(0, 0, step.frozen_rows).detach(),
                                     step.weight.narrow(0, step.frozen_rows, learning)});
  const at::Tensor codes = at::matmul(step.batch, weight.t());
  const at::Tensor squares = (s * at::matmul(codes, weight) - step.batch).square();
  return mean ? squares.mean() : squares.sum() / static_cast<double>(step.batch.size(0));
}

TEST(ReconstructionIca, IsTheErrorOfRebuildingByEitherOrderOfProducts) {
  for (const bool mean : {false, true}) {
    const auto term = tests::make_plugin<LossTerm>("reconstruction_ica",
                                                   {{"reduction", std::string(mean ? "mean" : "sum")}});
    // Few rows of a batch, or few features: two products; else the Gram matrix.
    for (const auto& [rows, n, d] :
         std::vector<std::array<int, 3>>{{2, 9, 6}, {30, 2, 6}, {30, 9, 6}, {1, 1, 3}}) {
      for (const std::int64_t frozen : {0, n / 2}) {
        DictionaryStep step{leaf({n, d}, 8), frozen};
        step.batch = normal({rows, d}, 9);
        expect_like(
            *term, step, [&] { return dense_ica(step, 1.0, mean); },
            std::to_string(rows) + " rows of " + std::to_string(n) + " features");
      }
    }
  }
}

TEST(ReconstructionIca, ScalesTightFramesOfUnitRowsToTheIdentity) {
  const double h = std::sqrt(3.0) / 2;
  DictionaryStep step{
      at::tensor({1.0, 0.0, -0.5, h, -0.5, -h}, at::kDouble).view({3, 2}).requires_grad_(true)};
  step.batch = normal({7, 2}, 10);
  step.unit_norm = true;
  const auto term = tests::make_plugin<LossTerm>("reconstruction_ica");
  EXPECT_NEAR(term->value(step.view()).item<double>(), 0.0, 1e-12);
  step.unit_norm = false;  // W'W is 1.5 I, half of x too much
  EXPECT_NEAR(term->value(step.view()).item<double>(), 0.25 * step.batch.square().sum().item<double>() / 7,
              1e-12);
  step.weight = leaf({5, 2}, 11);
  const auto framed = tests::make_plugin<LossTerm>("reconstruction_ica", {{"scale", std::string("frame")}});
  expect_like(
      *framed, step, [&] { return dense_ica(step, 0.4, false); }, "frame");
}

TEST(ReconstructionIca, TakesTheBiasOffWhereAsked) {
  DictionaryStep step{leaf({5, 3}, 12)};
  step.batch = normal({4, 3}, 13);
  step.bias = normal({3}, 14);
  DictionaryStep shifted = step;
  shifted.batch = step.batch - step.bias;
  const auto term = tests::make_plugin<LossTerm>("reconstruction_ica", {{"subtract_decoder_bias", true}});
  expect_like(
      *term, step, [&] { return dense_ica(shifted, 1.0, false); }, "centered");
}

/// From 32,768 rows on a sum of all of them is shared out.
TEST(ReconstructionIca, DoesNotDependOnThreadsInLargeBatches) {
  const auto term = tests::make_plugin<LossTerm>("reconstruction_ica");
  const int threads = at::get_num_threads();
  for (const auto type : {at::kFloat, at::kDouble}) {
    DictionaryStep step{leaf({12, 8}, 15).detach().to(type).requires_grad_(true)};
    step.batch = normal({40000, 8}, 16).to(type);
    std::vector<at::Tensor> values;
    std::vector<at::Tensor> gradients;
    for (const int count : {1, 2, 3}) {
      at::set_num_threads(count);
      const auto value = [&] { return term->value(step.view()); };
      values.push_back(value().detach());
      gradients.push_back(tests::autograd_gradient(value, step.weight));
    }
    at::set_num_threads(threads);
    for (std::size_t i = 1; i < values.size(); ++i) {
      EXPECT_TRUE(at::equal(values[i], values[0])) << type;
      EXPECT_TRUE(at::equal(gradients[i], gradients[0])) << type;
    }
    EXPECT_EQ(values[0].scalar_type(), type);
    EXPECT_NEAR(values[0].item<double>(), dense_ica(step, 1.0, false).item<double>(),
                1e-5 * values[0].item<double>());
  }
}

/// The SDK's products give the same bits for every number of threads.
TEST(Gram, DoesNotDependOnThreads) {
  const at::Tensor rows = at::randn({700, 130}, named_generator(3, "gram"), at::TensorOptions(at::kFloat));
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor alone = ops::gram(rows);
  at::set_num_threads(3);
  const at::Tensor together = ops::gram(rows);
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(alone, together));
  const at::Tensor exact = rows.to(at::kDouble).t().matmul(rows.to(at::kDouble));
  EXPECT_LT((alone.to(at::kDouble) - exact).abs().max().item<double>(), 1e-3);
  EXPECT_EQ(ops::gram(rows.narrow(0, 0, 0)).abs().sum().item<double>(), 0.0);
}

}  // namespace
}  // namespace regulon::gram_terms_test
