#include <regulon/error.h>

#include <limits>
#include <random>

#include "sdk/src/ops/select_product.h"
#include "select_reference.h"

namespace regulon {
namespace {

using ops::Product;
using ops::detail::SelectSettings;

Selection top(std::int64_t k, Selection::Scope scope = Selection::Scope::row) {
  Selection selection;
  selection.family = Selection::Family::rank;
  selection.k = k;
  selection.scope = scope;
  return selection;
}

Selection above(const at::Tensor& thresholds, double window = 0) {
  Selection selection;
  selection.thresholds = thresholds;
  selection.window = window;
  return selection;
}

Product random_product(std::int64_t rows, std::int64_t n, std::int64_t d, at::ScalarType type) {
  return {at::randn({rows, d}, type), test::random_units(n, d, type), at::randn({n}, type) * 0.1,
          at::randn({d}, type) * 0.1};
}

/// Small tiles and blocks, so that small tests cross their borders.
const std::vector<SelectSettings>& settings() {
  static const std::vector<SelectSettings> all{{}, {7, 48, 5}, {64, 33, 1}};
  return all;
}

/// Whether the codes come from one dense product, which agrees to rounding only. With a window they are
/// sparse all the same.
bool prefers_dense(const Codes& codes, const Selection& selection) {
  if (selection.family == Selection::Family::rank || selection.only.defined()) return false;
  const auto places = static_cast<double>(codes.rows() * codes.features());
  return static_cast<double>(codes.entries()) > ops::kDenseAbove * places;
}

void expect_codes(const Codes& codes, const Selection& selection, const test::Listed& expected) {
  if (codes.is_sparse() && !prefers_dense(codes, selection)) {
    test::expect_listed(codes, expected);
  } else {
    EXPECT_TRUE(at::allclose(codes.to_dense(), expected.values, 1e-4, 1e-5));
  }
}

/// The sparse codes are the reference's to the last bit, whatever the settings, the number of threads and the
/// precision of the screen.
void expect_reference(const Product& product, Selection selection) {
  const test::Listed expected = test::reference(product, selection);
  for (const int threads : {1, 2}) {
    const test::Threads limit(threads);
    for (const SelectSettings& how : settings()) {
      for (const auto precision : {Selection::Precision::float32, Selection::Precision::bfloat16}) {
        selection.precision = precision;
        expect_codes(ops::detail::select_product(product, selection, how), selection, expected);
      }
    }
  }
}

TEST(SelectProductTest, RandomProductsUnderEverySelectionAreTheReference) {
  std::mt19937 random(21);
  at::manual_seed(21);
  const auto pick = [&](std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random);
  };
  for (int round = 0; round < 60; ++round) {
    const std::int64_t rows = pick(1, 40);
    const std::int64_t n = pick(1, 300);
    const std::int64_t d = pick(1, 70);
    const at::ScalarType type = pick(0, 2) == 0 ? at::kDouble : at::kFloat;
    SCOPED_TRACE(::testing::Message() << "round " << round << ": " << rows << " x " << n << " x " << d);
    const Product product = random_product(rows, n, d, type);
    std::vector<Selection> selections{top(pick(1, 12)),
                                      top(pick(1, n + 3)),
                                      top(pick(1, 12), Selection::Scope::batch),
                                      top(n, Selection::Scope::batch),
                                      above(at::randn({n}, type) * 0.2 + 1.5),
                                      above(at::full({1}, 1.6, type)),
                                      above(at::rand({n}, type) + 1, 0.3)};
    for (Selection& selection : selections) {
      if (pick(0, 1) == 1) selection.score_shift = at::randn({n}, type) * 0.3;
      if (pick(0, 1) == 1) selection.score_scale = at::rand({n}, type) + 0.5;
      if (pick(0, 2) == 0) {
        const at::Tensor kept = at::rand({n}) < 0.4;
        selection.only = kept.nonzero().view({-1});
      }
      expect_reference(product, selection);
    }
  }
}

TEST(SelectProductTest, CandidatesThatAreTakenByWindowsAreTheReference) {
  at::manual_seed(26);
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    // 0.9 and 1.8 MB of features, some 70 candidates a row: windows of half a MiB pay.
    const Product product = random_product(40, 900, 256, type);
    expect_reference(product, top(64));
    expect_reference(product, top(60, Selection::Scope::batch));
    expect_reference(product, above(at::full({1}, 1.6, type)));
    expect_reference(product, top(400));
  }
}

/// Rows on which bounds, ties and ranges are hard.
Product adversarial(at::ScalarType type) {
  at::manual_seed(22);
  Product product = random_product(40, 200, 24, type);
  product.center = at::Tensor();
  const double huge = type == at::kFloat ? 1e18 : 1e152;
  const double tiny = type == at::kFloat ? 1e-41 : 1e-310;
  product.weight[10] = product.weight[3];
  product.weight[150] = product.weight[3];
  product.weight[199] = product.weight[3];
  product.weight[77].zero_();
  product.weight[78].mul_(tiny);
  product.weight[79].mul_(100);
  product.bias.index_fill_(0, at::tensor({3, 10, 150, 199, 77}, at::kLong), 0);
  product.input[0].zero_();
  product.input[1].copy_(product.weight[3]);
  product.input[2].mul_(huge);
  product.input[3].mul_(tiny);
  product.input[4].copy_(product.input[5]);
  product.input[6].fill_(1);
  product.input[7].copy_(product.weight[3] * 1e-3);
  return product;
}

TEST(SelectProductTest, AdversarialRowsAreTheReference) {
  for (const auto type : {at::kFloat, at::kDouble}) {
    for (const bool with_bias : {true, false}) {
      Product product = adversarial(type);
      if (!with_bias) product.bias = at::Tensor();
      for (const std::int64_t k : {1, 2, 3, 30, 200}) {
        expect_reference(product, top(k));
        expect_reference(product, top(k, Selection::Scope::batch));
      }
      expect_reference(product, above(at::full({1}, 1.2, type)));
      expect_reference(product, above(at::full({1}, 1.2, type), 0.5));
      expect_reference(product, above({}, 1e-3));
    }
  }
}

TEST(SelectProductTest, EqualScoresGoToTheLowerRowThenFeature) {
  Product product{at::ones({3, 4}), at::ones({6, 4}), {}, {}};
  const Codes by_row = ops::select_product(product, top(2));
  EXPECT_TRUE(at::equal(by_row.feature_ids(), at::tensor({0, 1, 0, 1, 0, 1}, at::kInt)));
  const Codes by_batch = ops::select_product(product, top(3, Selection::Scope::batch));
  EXPECT_TRUE(at::equal(by_batch.row_offsets(), at::tensor({0, 6, 9, 9}, at::kLong)));
  EXPECT_TRUE(at::equal(by_batch.feature_ids(), at::tensor({0, 1, 2, 3, 4, 5, 0, 1, 2}, at::kInt)));
}

TEST(SelectProductTest, AlmostEqualFeaturesAreToldApartExactly) {
  at::manual_seed(23);
  const at::Tensor one = test::random_units(1, 64, at::kFloat);
  const Product product{at::randn({30, 64}), one + 1e-7 * at::randn({500, 64}), {}, {}};
  expect_reference(product, top(5));
  expect_reference(product, top(5, Selection::Scope::batch));
  const at::Tensor z = test::defined_z(product);
  expect_reference(product, above(z.max().view({1}) * 0.999999));
}

TEST(SelectProductTest, ABatchWhoseFirstRowsMisleadIsStillTheReference) {
  at::manual_seed(24);
  Product product = random_product(120, 150, 16, at::kFloat);
  product.input.narrow(0, 0, 20).mul_(50);
  expect_reference(product, top(4, Selection::Scope::batch));
  product.input.narrow(0, 0, 20).mul_(1e-5);
  expect_reference(product, top(4, Selection::Scope::batch));
  product.bias = at::full({150}, -100.0);
  product.bias[3] = 100;
  expect_reference(product, top(4, Selection::Scope::batch));
}

TEST(SelectProductTest, NoRowsNoFeaturesAndNothingAllowedWork) {
  const Product product{at::randn({0, 3}), at::randn({5, 3}), {}, {}};
  EXPECT_EQ(ops::select_product(product, top(2)).entries(), 0);
  const Product featureless{at::randn({4, 3}), at::randn({0, 3}), {}, {}};
  EXPECT_EQ(ops::select_product(featureless, above({})).rows(), 4);
  Selection nothing = top(2);
  nothing.only = at::empty({0}, at::kLong);
  const at::Tensor weight = at::randn({5, 3}).set_requires_grad(true);
  const Codes codes = ops::select_product({at::randn({4, 3}), weight, {}, {}}, nothing);
  EXPECT_EQ(codes.entries(), 0);
  EXPECT_TRUE(at::equal(torch::autograd::grad({codes.values().sum()}, {weight})[0], at::zeros({5, 3})));
}

void expect_not_finite(const Product& product, const Selection& selection) {
  try {
    ops::select_product(product, selection);
    ADD_FAILURE() << "was let through";
  } catch (const RunError& error) {
    EXPECT_NE(std::string(error.what()).find("not finite"), std::string::npos) << error.what();
  }
}

TEST(SelectProductTest, NumbersThatAreNotFiniteAreReported) {
  at::manual_seed(25);
  for (const double bad :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    for (const Selection& selection : {top(2), top(2, Selection::Scope::batch), above({}), above({}, 0.1)}) {
      Product product = random_product(6, 20, 8, at::kFloat);
      product.input[3][2] = bad;
      expect_not_finite(product, selection);
      product = random_product(6, 20, 8, at::kFloat);
      product.weight[7][0] = bad;
      expect_not_finite(product, selection);
      product = random_product(6, 20, 8, at::kFloat);
      product.bias[19] = bad;
      expect_not_finite(product, selection);
    }
  }
  // Finite numbers whose products are not.
  expect_not_finite({at::full({2, 4}, 1e30), at::full({3, 4}, 1e30), {}, {}}, top(1));
}

TEST(SelectProductTest, WhatDoesNotFitIsRefused) {
  const Product good = random_product(4, 6, 3, at::kFloat);
  const auto refused = [](Product product, const Selection& selection) {
    EXPECT_THROW(ops::select_product(product, selection), RunError);
  };
  Product product = good;
  product.weight = at::randn({6, 4});
  refused(product, top(1));
  product = good;
  product.input = good.input.to(at::kDouble);
  refused(product, top(1));
  product.input = good.input.to(at::kHalf);
  refused(product, top(1));
  product = good;
  product.bias = at::zeros({5});
  refused(product, top(1));
  product = good;
  product.center = at::zeros({6});
  refused(product, top(1));
  refused(good, top(0));
  refused(good, above(at::zeros({5})));
  refused(good, above({}, -1));
  refused(good, above(at::full({6}, std::numeric_limits<double>::quiet_NaN())));
  Selection selection = top(1);
  selection.score_scale = at::zeros({6});
  refused(good, selection);
  selection = top(1);
  selection.only = at::tensor({2, 1}, at::kLong);
  refused(good, selection);
  selection.only = at::tensor({6}, at::kLong);
  refused(good, selection);
}

}  // namespace
}  // namespace regulon
