#include <regulon/error.h>

#include <vector>

#include "select_reference.h"

namespace regulon {
namespace {

using ops::Product;
using test::TensorList;

/// A selection of each kind. Thresholds are such that few of many features are listed.
std::vector<Selection> selections(std::int64_t n, at::ScalarType type) {
  std::vector<Selection> all(5);
  all[0].family = Selection::Family::rank;
  all[0].k = 3;
  all[1] = all[0];
  all[1].scope = Selection::Scope::batch;
  all[2].thresholds = at::full({1}, 1.3, type);
  all[3] = all[0];
  all[3].score_shift = at::randn({n}, type) * 0.2;
  all[3].score_scale = at::rand({n}, type) + 0.5;
  all[4] = all[0];
  all[4].only = at::arange(1, n, 2, at::kLong);
  return all;
}

/// A weighted sum of all codes that is not linear in them.
at::Tensor pull(const at::Tensor& dense) {
  const at::Tensor weights = at::cos(at::arange(dense.numel(), dense.options())).view(dense.sizes());
  return (dense * weights + dense.square() * 0.3).sum();
}

TEST(SelectGradientTest, AgreesWithDifferences) {
  at::manual_seed(31);
  constexpr std::int64_t kFeatures = 30;
  for (const Selection& selection : selections(kFeatures, at::kDouble)) {
    const auto function = [&](const TensorList& in) {
      return pull(ops::select_product({in[0], in[1], in[2], in[3]}, selection).to_dense());
    };
    test::expect_gradients(function,
                           {at::randn({4, 5}, at::kDouble), test::random_units(kFeatures, 5),
                            at::randn({kFeatures}, at::kDouble) * 0.1, at::randn({5}, at::kDouble) * 0.1});
  }
}

TEST(SelectGradientTest, DenseCodesAgreeWithDifferences) {
  at::manual_seed(32);
  std::vector<Selection> dense(3);
  dense[1].thresholds = at::rand({12}, at::kDouble) * 0.2;
  dense[2].thresholds = at::full({1}, 0.1, at::kDouble);
  dense[2].score_scale = at::rand({12}, at::kDouble) + 0.5;
  for (const Selection& selection : dense) {
    const auto function = [&](const TensorList& in) {
      const Codes codes = ops::select_product({in[0], in[1], in[2], in[3]}, selection);
      EXPECT_FALSE(codes.is_sparse());
      return pull(codes.to_dense());
    };
    test::expect_gradients(function, {at::randn({4, 5}, at::kDouble), test::random_units(12, 5),
                                      at::randn({12}, at::kDouble) * 0.1, at::randn({5}, at::kDouble) * 0.1});
  }
}

/// Values and gradients as plain operators on the whole matrix give them; the selection itself has no
/// gradient.
void expect_dense_reference(const Product& product, const Selection& selection) {
  const TensorList inputs{product.input, product.weight, product.bias, product.center};
  const at::Tensor places = test::reference(product, selection).places;
  const at::Tensor z = at::mm(product.input - product.center, product.weight.t()) + product.bias;
  const at::Tensor expected = at::where(places, z, 0);
  const Codes codes = ops::select_product(product, selection);
  EXPECT_TRUE(at::allclose(codes.to_dense(), expected, 1e-4, 1e-5));
  const TensorList of_codes = torch::autograd::grad({pull(codes.to_dense())}, inputs);
  const TensorList of_expected = torch::autograd::grad({pull(expected)}, inputs);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    EXPECT_TRUE(at::allclose(of_codes[i], of_expected[i], 1e-3, 1e-4)) << "input " << i;
  }
}

TEST(SelectGradientTest, SparseAndDenseAgreeInFloat) {
  at::manual_seed(33);
  constexpr std::int64_t kFeatures = 700;
  std::vector<Selection> all = selections(kFeatures, at::kFloat);
  all.emplace_back();  // ReLU, half of it active: the dense form
  for (const Selection& selection : all) {
    const Product product{at::randn({300, 40}).set_requires_grad(true),
                          test::random_units(kFeatures, 40, at::kFloat).set_requires_grad(true),
                          (at::randn({kFeatures}) * 0.1).set_requires_grad(true),
                          (at::randn({40}) * 0.1).set_requires_grad(true)};
    expect_dense_reference(product, selection);
  }
}

/// JumpReLU and its step, straight through, with plain operators: values and "open" [B, n].
struct Jump {
  at::Tensor values;
  at::Tensor open;
};

/// `steps` is 0 and carries the thresholds' gradient: a box kernel of the window's width.
Jump jump_reference(const at::Tensor& z, const at::Tensor& thresholds, double window) {
  const at::Tensor open = (z > thresholds).logical_and(z > 0).to(z.scalar_type());
  const at::Tensor box = ((z - thresholds).abs() <= window / 2).to(z.scalar_type()).detach();
  const at::Tensor steps = -(thresholds - thresholds.detach()) / window * box;
  return {z * open + thresholds.detach() * steps, open + steps};
}

void expect_jump(std::int64_t n, double base, bool sparse, bool one_threshold) {
  constexpr double kWindow = 0.4;
  const at::Tensor input = at::randn({50, 8}, at::kDouble).set_requires_grad(true);
  const at::Tensor weight = test::random_units(n, 8).set_requires_grad(true);
  const at::Tensor bias = (at::randn({n}, at::kDouble) * 0.1).set_requires_grad(true);
  const at::Tensor thresholds =
      (one_threshold ? at::full({1}, base, at::kDouble) : base + 0.2 * at::rand({n}, at::kDouble))
          .set_requires_grad(true);
  const TensorList inputs{input, weight, bias, thresholds};
  Selection selection;
  selection.thresholds = thresholds;
  selection.window = kWindow;
  const Codes codes = ops::select_product({input, weight, bias, {}}, selection);
  const auto places = static_cast<double>(codes.rows() * codes.features());
  EXPECT_EQ(static_cast<double>(codes.entries()) < ops::kDenseAbove * places, sparse);
  const Jump expected = jump_reference(at::mm(input, weight.t()) + bias, thresholds, kWindow);
  ASSERT_TRUE(codes.has_channel("open"));
  const at::Tensor open = codes.with_values(codes.channel("open")).to_dense();
  EXPECT_TRUE(at::allclose(codes.to_dense(), expected.values, 1e-10, 1e-12));
  EXPECT_TRUE(at::allclose(open, expected.open, 1e-10, 1e-12));
  const std::vector<std::pair<at::Tensor, at::Tensor>> sums{
      {pull(codes.to_dense()), pull(expected.values)},
      {pull(open), pull(expected.open)},
      {pull(open) + pull(codes.to_dense()), pull(expected.open) + pull(expected.values)}};
  for (const auto& [found, wanted] : sums) {
    const TensorList of_found = torch::autograd::grad({found}, inputs, {}, true, false, true);
    const TensorList of_wanted = torch::autograd::grad({wanted}, inputs, {}, true, false, true);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const at::Tensor zero = at::zeros_like(inputs[i]);
      const at::Tensor a = of_found[i].defined() ? of_found[i] : zero;
      const at::Tensor b = of_wanted[i].defined() ? of_wanted[i] : zero;
      EXPECT_TRUE(at::allclose(a, b, 1e-8, 1e-10)) << "input " << i;
    }
    EXPECT_GT(of_found[3].abs().max().item<double>(), 0);
  }
}

TEST(SelectGradientTest, JumpReluPassesStraightThroughToItsThresholds) {
  at::manual_seed(34);
  for (const bool one_threshold : {false, true}) {
    expect_jump(60, 2.0, /*sparse=*/true, one_threshold);
    expect_jump(60, 0.1, /*sparse=*/false, one_threshold);
  }
}

TEST(SelectGradientTest, AScoreMovesTheEdgeOfTheJump) {
  // One feature, one row, score (z - 1) * 2 = 3 at z = 2.5: the code jumps there from 0 to 2.5.
  const at::Tensor thresholds = at::full({1}, 3, at::kDouble).set_requires_grad(true);
  Selection selection;
  selection.thresholds = thresholds;
  selection.window = 0.5;
  selection.score_shift = at::ones({1}, at::kDouble);
  selection.score_scale = at::full({1}, 2, at::kDouble);
  const Product product{at::full({1, 1}, 2.45, at::kDouble), at::ones({1, 1}, at::kDouble), {}, {}};
  const Codes codes = ops::select_product(product, selection);
  ASSERT_EQ(codes.entries(), 1);
  EXPECT_EQ(codes.values().item<double>(), 0);
  const at::Tensor gradient = torch::autograd::grad({codes.values().sum()}, {thresholds})[0];
  EXPECT_DOUBLE_EQ(gradient.item<double>(), -2.5 / 0.5);
}

TEST(SelectGradientTest, ThreadsDoNotShow) {
  at::manual_seed(35);
  constexpr std::int64_t kFeatures = 3000;
  std::vector<Selection> all = selections(kFeatures, at::kFloat);
  all.emplace_back();
  Selection jump;
  jump.thresholds = at::full({kFeatures}, 1.5).set_requires_grad(true);
  jump.window = 0.2;
  all.push_back(jump);
  const Product product{at::randn({300, 48}).set_requires_grad(true),
                        test::random_units(kFeatures, 48, at::kFloat).set_requires_grad(true),
                        (at::randn({kFeatures}) * 0.1).set_requires_grad(true),
                        (at::randn({48}) * 0.1).set_requires_grad(true)};
  for (const Selection& selection : all) {
    std::vector<TensorList> found;
    for (const int threads : {1, 2, 3}) {
      const test::Threads limit(threads);
      TensorList inputs{product.input, product.weight, product.bias, product.center};
      if (selection.window > 0) inputs.push_back(selection.thresholds);
      const Codes codes = ops::select_product(product, selection);
      found.push_back(torch::autograd::grad({(codes.values() * codes.values()).sum()}, inputs));
      found.back().push_back(codes.values());
      for (std::size_t i = 0; i < found.back().size(); ++i) {
        EXPECT_TRUE(test::same_bits(found.back()[i], found.front()[i])) << "tensor " << i;
      }
    }
  }
}

TEST(SelectGradientTest, GradientsOfGradientsAreRefused) {
  const at::Tensor weight = at::ones({3, 2}).set_requires_grad(true);
  Selection selection;
  selection.family = Selection::Family::rank;
  selection.k = 1;
  const Codes codes = ops::select_product({at::ones({2, 2}), weight, {}, {}}, selection);
  EXPECT_THROW(torch::autograd::grad({codes.values().sum()}, {weight}, {}, true, true), RunError);
}

}  // namespace
}  // namespace regulon
