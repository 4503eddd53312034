#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <regulon/ops.h>

#include "tests/unit/support/expect_error.h"
#include "tests/unit/support/gradients.h"
#include "tests/unit/support/toy_step.h"

namespace regulon {
namespace {

using tests::ToyStep;

Codes codes_of(const ToyStep& toy) {
  return Codes::sparse(ToyStep::kFeatures, toy.row_offsets, toy.feature_ids, toy.values);
}

TEST(SplitFeatures, CutsTheMatrixIntoColumnBlocks) {
  const ToyStep toy;
  const std::vector<std::int64_t> sizes = {1, 4, 2};
  for (const Codes& codes : {codes_of(toy), Codes::dense(toy.dense())}) {
    const std::vector<Codes> blocks = ops::split_features(codes, sizes);
    ASSERT_EQ(blocks.size(), 3U);
    std::int64_t first = 0;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      EXPECT_EQ(blocks[i].features(), sizes[i]);
      EXPECT_EQ(blocks[i].is_sparse(), codes.is_sparse());
      EXPECT_TRUE(at::equal(blocks[i].to_dense().detach(), toy.dense().narrow(1, first, sizes[i]))) << i;
      first += sizes[i];
    }
  }
}

TEST(SplitFeatures, ListsEveryEntryOnce) {
  const ToyStep toy;
  std::int64_t entries = 0;
  for (const Codes& block : ops::split_features(codes_of(toy), {2, 3, 1, 1})) entries += block.entries();
  EXPECT_EQ(entries, codes_of(toy).entries());
}

TEST(SplitFeatures, Gradients) {
  const ToyStep toy;
  const at::Tensor probe = tests::normal({ToyStep::kRows, 4}, 81);
  const auto value = [&] { return (ops::split_features(codes_of(toy), {3, 4})[1].to_dense() * probe).sum(); };
  tests::expect_gradient(value, toy.values, "code values");
}

TEST(SplitFeatures, RefusesSizesThatDoNotAddUp) {
  const ToyStep toy;
  tests::expect_error<RunError>(
      [&] {
        ops::split_features(codes_of(toy), {3, 3});
      },
      {"split_features", "add up to 7", "6"});
  tests::expect_error<RunError>([&] { ops::split_features(codes_of(toy), {7, 0}); }, {"below 1"});
}

TEST(CodeSizes, AreValuesTimesDecoderNorms) {
  ToyStep toy;
  const at::Tensor norms = toy.weight.detach().pow(2).sum(1).sqrt();
  const at::Tensor scaled = toy.values.detach() * norms.index_select(0, toy.feature_ids);
  EXPECT_TRUE(at::allclose(ops::code_sizes(toy.view(), "on"), scaled));
  EXPECT_TRUE(at::equal(ops::code_sizes(toy.view(), "off"), toy.values));
  toy.unit_norm = false;
  EXPECT_TRUE(at::allclose(ops::code_sizes(toy.view(), "auto"), scaled));
  toy.unit_norm = true;
  EXPECT_TRUE(at::equal(ops::code_sizes(toy.view(), "auto"), toy.values));
  tests::expect_error<RunError>([&] { ops::code_sizes(toy.view(), "maybe"); }, {"decoder_norms", "maybe"});
}

TEST(CodeSizes, Gradients) {
  const ToyStep toy;
  const at::Tensor probe = tests::normal({9}, 82);
  const auto value = [&] { return (ops::code_sizes(toy.view(), "on") * probe).sum(); };
  tests::expect_gradient(value, toy.values, "code values");
  tests::expect_gradient(value, toy.weight, "dictionary weight");
}

/// Sum over the prefixes of |x - xhat|^2, by dense products.
at::Tensor by_products(const at::Tensor& dense, const ToyStep& toy, const at::Tensor& weight,
                       const at::Tensor& bias, const std::vector<std::int64_t>& sizes) {
  at::Tensor sum = at::zeros({}, at::kDouble);
  std::int64_t width = 0;
  for (const std::int64_t size : sizes) {
    width += size;
    const at::Tensor rebuilt = at::matmul(dense.narrow(1, 0, width), weight.narrow(0, 0, width)) + bias;
    sum = sum + (toy.batch - rebuilt).square().sum();
  }
  return sum;
}

TEST(NestedErrors, AreThoseOfEachPrefixWithTheirGradients) {
  const ToyStep toy;
  const Codes pattern = codes_of(toy);
  for (const std::vector<std::int64_t>& sizes : {std::vector<std::int64_t>{7}, {1, 4, 2}, {3, 1, 1, 1, 1}}) {
    std::vector<std::vector<at::Tensor>> leaves;
    std::vector<at::Tensor> totals;
    for (int form = 0; form < 3; ++form) {  // listed, as a matrix, by products
      const at::Tensor dense = toy.dense().detach().clone().set_requires_grad(true);
      const at::Tensor values = toy.values.detach().clone().set_requires_grad(true);
      const at::Tensor weight = toy.weight.detach().clone().set_requires_grad(true);
      const at::Tensor bias = toy.bias.detach().clone().set_requires_grad(true);
      const Codes codes = form == 0 ? pattern.with_values(values) : Codes::dense(dense);
      const at::Tensor total = form == 2
                                   ? by_products(dense, toy, weight, bias, sizes)
                                   : ops::nested_errors(codes, Dictionary(weight, bias), toy.batch, sizes);
      (total * 0.7).backward();
      const at::Tensor by_entry =
          form == 0
              ? values.grad()
              : dense.grad().index({pattern.entry_rows().to(at::kLong), pattern.feature_ids().to(at::kLong)});
      leaves.push_back({by_entry, weight.grad(), bias.grad()});
      totals.push_back(total.detach());
    }
    for (int form = 0; form < 2; ++form) {
      EXPECT_TRUE(at::allclose(totals[form], totals[2], 1e-12));
      for (std::size_t i = 0; i < 3; ++i)
        EXPECT_TRUE(at::allclose(leaves[form][i], leaves[2][i], 1e-10, 1e-12)) << form << " " << i;
    }
  }
}

TEST(NestedErrors, NeedsNoGradientAndRefusesWhatDoesNotFit) {
  const ToyStep toy;
  const Dictionary dictionary = Dictionary(toy.weight, toy.bias).detach();
  const at::Tensor expected = by_products(toy.dense(), toy, toy.weight, toy.bias, {2, 5}).detach();
  const Codes codes = codes_of(toy).detach();
  EXPECT_TRUE(at::allclose(ops::nested_errors(codes, dictionary, toy.batch, {2, 5}), expected, 1e-12));
  const at::Tensor learnt = toy.batch.clone().set_requires_grad(true);
  EXPECT_FALSE(ops::nested_errors(codes, dictionary, learnt, {2, 5}).requires_grad()) << "none to the batch";
  tests::expect_error<RunError>(
      [&] {
        ops::nested_errors(codes, dictionary, toy.batch, {2, 4});
      },
      {"nested_errors", "add up to 7", "a sum of 6"});
  tests::expect_error<RunError>(
      [&] {
        ops::nested_errors(codes, dictionary, toy.batch.narrow(1, 0, 1), {2, 5});
      },
      {"nested_errors", "batch"});
}

}  // namespace
}  // namespace regulon
