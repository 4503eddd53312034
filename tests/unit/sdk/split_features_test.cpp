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

}  // namespace
}  // namespace regulon
