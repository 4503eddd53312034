#include "core/measure/drop.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace regulon::core {
namespace {

/// Two rows of codes over five features; an entry of -1 is listed and not active.
Codes some_codes() {
  return Codes::sparse(5, at::tensor({0, 4, 6}, at::kLong), at::tensor({0, 1, 3, 4, 2, 3}, at::kInt),
                       at::tensor({0.5F, 3.0F, -1.0F, 1.0F, 2.0F, 0.25F}));
}

at::Tensor dense(std::vector<float> first, std::vector<float> second) {
  return at::stack({at::tensor(first), at::tensor(second)});
}

TEST(Drop, TheWeakestOfEachRowGo) {
  const at::Tensor ones = at::ones({5});
  const Codes codes = some_codes();
  EXPECT_TRUE(at::equal(drop_weakest(codes, ones, 0).to_dense(), dense({.5, 3, 0, 0, 1}, {0, 0, 2, .25, 0})));
  EXPECT_TRUE(at::equal(drop_weakest(codes, ones, 1).to_dense(), dense({0, 3, 0, 0, 1}, {0, 0, 2, 0, 0})));
  EXPECT_TRUE(at::equal(drop_weakest(codes, ones, 2).to_dense(), dense({0, 3, 0, 0, 0}, {0, 0, 0, 0, 0})));
  EXPECT_EQ(drop_weakest(codes, ones, 3).entries(), 0);
  EXPECT_EQ(drop_weakest(codes, ones, 9).rows(), 2);
}

TEST(Drop, WeakIsWhatAddsLittle) {
  const at::Tensor norms = at::tensor({10.0F, 0.1F, 0.1F, 1.0F, 1.0F});
  EXPECT_TRUE(
      at::equal(drop_weakest(some_codes(), norms, 1).to_dense(), dense({.5, 0, 0, 0, 1}, {0, 0, 0, .25, 0})));
}

TEST(Drop, OfEqualsTheLowerFeatureStays) {
  const Codes codes = Codes::dense(at::ones({3, 6}));
  const at::Tensor kept = drop_weakest(codes, at::ones({6}), 4).to_dense();
  EXPECT_TRUE(at::equal(kept.sum(0), at::tensor({3.0F, 3.0F, 0.0F, 0.0F, 0.0F, 0.0F})));
}

TEST(Drop, FeaturesGo) {
  const at::Tensor goes = at::tensor({0, 1, 0, 1, 0}).to(at::kBool);
  EXPECT_TRUE(
      at::equal(drop_features(some_codes(), goes).to_dense(), dense({.5, 0, 0, 0, 1}, {0, 0, 2, 0, 0})));
}

}  // namespace
}  // namespace regulon::core
