#include <regulon/error.h>
#include <regulon/ops.h>

#include <vector>

#include "ops_reference.h"

namespace regulon {
namespace {

using test::TensorList;

/// Random codes [rows, n] of which about `share` is listed, and some of that zero.
Codes random_codes(std::int64_t rows, std::int64_t n, double share, at::ScalarType type) {
  const at::Tensor places = at::rand({rows, n}) < share;
  const Codes listed = Codes::dense(places.to(type));
  const at::Tensor values = at::randn({listed.entries()}, type).clamp_min(-0.5);
  return listed.with_values(values);
}

TEST(DecodeTest, AgreesWithTheMatrixProduct) {
  at::manual_seed(41);
  for (const double share : {0.0, 0.02, 0.3}) {
    for (const std::int64_t d : {1, 16, 70, 384}) {
      const Codes codes = random_codes(20, 90, share, at::kDouble);
      const at::Tensor weight = at::randn({90, d}, at::kDouble);
      const at::Tensor bias = at::randn({d}, at::kDouble);
      const at::Tensor product = at::mm(codes.to_dense(), weight);
      EXPECT_TRUE(at::allclose(ops::decode(codes, weight, {}), product, 1e-10, 1e-12));
      EXPECT_TRUE(at::allclose(ops::decode(codes, weight, bias), product + bias, 1e-10, 1e-12));
      EXPECT_TRUE(at::allclose(ops::decode(Codes::dense(codes.to_dense()), weight, bias), product + bias,
                               1e-10, 1e-12));
    }
  }
}

TEST(DecodeTest, GradientsAgreeWithDifferences) {
  at::manual_seed(42);
  for (const double share : {0.06, 0.5}) {
    const Codes codes = random_codes(5, 40, share, at::kDouble);
    const auto squares = [](const at::Tensor& out) { return (out.square() * 0.5 + out).sum(); };
    const at::Tensor bias = at::randn({3}, at::kDouble);
    const at::Tensor weight = at::randn({40, 3}, at::kDouble);
    test::expect_gradients(
        [&](const TensorList& in) { return squares(ops::decode(codes.with_values(in[0]), in[1], in[2])); },
        {codes.values(), weight, bias});
    test::expect_gradients(
        [&](const TensorList& in) { return squares(ops::decode(Codes::dense(in[0]), in[1], in[2])); },
        {codes.to_dense(), weight, bias});
  }
}

TEST(PruneTest, LeaveOneOutIsTheCorrelationWithWhatTheOthersLeave) {
  at::manual_seed(45);
  const Codes codes = random_codes(8, 30, 0.2, at::kDouble);
  const Dictionary dictionary(at::randn({30, 6}, at::kDouble), at::randn({6}, at::kDouble));
  const at::Tensor rows = at::randn({8, 6}, at::kDouble);
  const at::Tensor scores = ops::leave_one_out(codes, rows, dictionary);
  for (std::int64_t entry = 0; entry < codes.entries(); ++entry) {
    const auto row = codes.entry_rows()[entry].item<std::int64_t>();
    const auto feature = codes.feature_ids()[entry].item<std::int64_t>();
    at::Tensor without = codes.to_dense().select(0, row).clone();
    without[feature] = 0;
    const at::Tensor left = rows[row] - dictionary.bias() - at::mv(dictionary.weight().t(), without);
    EXPECT_NEAR(scores[entry].item<double>(), left.dot(dictionary.weight()[feature]).item<double>(), 1e-12);
  }
}

TEST(PruneTest, KeepsTheEntriesAboveWithTheirGradient) {
  at::manual_seed(46);
  const Codes pattern = random_codes(40, 30, 0.2, at::kFloat);
  const at::Tensor values = pattern.values().clone().set_requires_grad(true);
  const Codes codes = pattern.with_values(values);
  const Dictionary dictionary(at::randn({30, 6}), at::randn({6}));
  const at::Tensor rows = at::randn({40, 6});
  const at::Tensor kept = ops::leave_one_out(codes, rows, dictionary) > 0.5;
  const Codes pruned = ops::prune(codes, rows, dictionary, 0.5);
  ASSERT_GT(pruned.entries(), 0);
  ASSERT_LT(pruned.entries(), codes.entries());
  const at::Tensor expected = pattern.with_values(at::where(kept, pattern.values(), 0)).to_dense();
  EXPECT_TRUE(pruned.detach().to_dense().equal(expected));
  pruned.values().sum().backward();
  EXPECT_TRUE(values.grad().equal(kept.to(at::kFloat)));
  EXPECT_EQ(ops::prune(codes, rows, dictionary, 1e9).entries(), 0);
  EXPECT_EQ(ops::prune(codes, rows, dictionary, -1e9).entries(), codes.entries());
  EXPECT_THROW(ops::prune(codes, at::randn({40, 5}), dictionary, 0), RunError);
}

TEST(DecodeTest, FrequentFeaturesKeepTheirOrderAndThreadsDoNotShow) {
  at::manual_seed(43);
  at::Tensor places = at::rand({3000, 400}) < 0.01;
  places.narrow(1, 7, 1).fill_(true);
  const Codes pattern = Codes::dense(places.to(at::kFloat));
  const at::Tensor values = at::rand({pattern.entries()}).set_requires_grad(true);
  const at::Tensor weight = at::randn({400, 96}).set_requires_grad(true);
  const at::Tensor bias = at::randn({96}).set_requires_grad(true);
  std::vector<TensorList> found;
  for (const int threads : {1, 2, 3}) {
    const test::Threads limit(threads);
    const at::Tensor out = ops::decode(pattern.with_values(values), weight, bias);
    found.push_back(torch::autograd::grad({out.square().sum()}, {values, weight, bias}));
    found.back().push_back(out);
    for (std::size_t i = 0; i < found.back().size(); ++i) {
      EXPECT_TRUE(test::same_bits(found.back()[i], found.front()[i])) << "tensor " << i;
    }
  }
}

TEST(DecodeTest, ThreadsDoNotShowInDenseCodesOfAnyShape) {
  at::manual_seed(47);
  for (const std::int64_t rows : {1, 2, 7, 13, 64, 300}) {
    for (const std::int64_t n : {16, 113, 600}) {
      const at::Tensor dense = at::randn({rows, n}).set_requires_grad(true);
      const at::Tensor weight = at::randn({n, 37}).set_requires_grad(true);
      std::vector<TensorList> found;
      for (const int threads : {1, 2, 3}) {
        const test::Threads limit(threads);
        const at::Tensor out = ops::decode(Codes::dense(dense), weight, {});
        found.push_back(torch::autograd::grad({out.square().sum()}, {dense, weight}));
        found.back().push_back(out);
        for (std::size_t i = 0; i < found.back().size(); ++i) {
          EXPECT_TRUE(test::same_bits(found.back()[i], found.front()[i]))
              << rows << " x " << n << ", tensor " << i;
        }
      }
    }
  }
}

TEST(DecodeTest, WhatDoesNotFitIsRefused) {
  const Codes codes = random_codes(4, 6, 0.05, at::kFloat);
  EXPECT_THROW(ops::decode(codes, at::ones({5, 3}), {}), RunError);
  EXPECT_THROW(ops::decode(codes, at::ones({6, 3}, at::kDouble), {}), RunError);
  EXPECT_THROW(ops::decode(codes, at::ones({6, 3}), at::ones({4})), RunError);
  EXPECT_THROW(ops::decode(codes, at::ones({6}), {}), RunError);
}

TEST(WeightedSumTest, ValueAndGradients) {
  at::manual_seed(44);
  const Codes codes = random_codes(30, 40, 0.1, at::kDouble);
  const at::Tensor weights = at::randn({40}, at::kDouble);
  const double expected = (codes.to_dense() * weights).sum().item<double>();
  EXPECT_NEAR(ops::weighted_sum(codes, weights).item<double>(), expected, 1e-10);
  EXPECT_NEAR(ops::weighted_sum(Codes::dense(codes.to_dense()), weights).item<double>(), expected, 1e-10);
  EXPECT_NEAR(ops::weighted_sum(codes, {}).item<double>(), codes.values().sum().item<double>(), 1e-10);
  const auto sparse = [&](const TensorList& in) {
    return ops::weighted_sum(codes.with_values(in[0]), in[1]).square() +
           ops::weighted_sum(codes.with_values(in[0]), {});
  };
  test::expect_gradients(sparse, {codes.values(), weights});
  const auto dense = [&](const TensorList& in) {
    return ops::weighted_sum(Codes::dense(in[0]), in[1]).square() +
           ops::weighted_sum(Codes::dense(in[0]), {});
  };
  test::expect_gradients(dense, {codes.to_dense().narrow(0, 0, 6).contiguous(), weights});
  EXPECT_THROW(ops::weighted_sum(codes, at::ones({39}, at::kDouble)), RunError);
}

TEST(WeightedSumTest, ThreadsDoNotShow) {
  at::manual_seed(45);
  const Codes codes = random_codes(2000, 300, 0.2, at::kFloat);
  std::vector<at::Tensor> sums;
  for (const int threads : {1, 2, 3}) {
    const test::Threads limit(threads);
    sums.push_back(ops::weighted_sum(codes, at::ones({300})));
    EXPECT_TRUE(test::same_bits(sums.back(), sums.front()));
  }
}

TEST(FeatureCountsTest, CountTheActiveAndSumTheValues) {
  at::manual_seed(46);
  const Codes codes = random_codes(50, 30, 0.2, at::kFloat);
  const at::Tensor dense = codes.to_dense();
  ASSERT_TRUE((dense < 0).any().item<bool>());
  const at::Tensor counts = (dense > 0).sum(0);
  for (const Codes& form : {codes, Codes::dense(dense)}) {
    EXPECT_TRUE(at::equal(ops::feature_counts(form), counts));
    EXPECT_TRUE(at::allclose(ops::feature_sums(form), dense.sum(0), 1e-5, 1e-6));
    EXPECT_EQ(ops::feature_counts(form).scalar_type(), at::kLong);
  }
}

}  // namespace
}  // namespace regulon
