#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <regulon/step.h>

#include "core/train/compare.h"
#include "tests/unit/support/expect_words.h"

namespace regulon::core {
namespace {

at::Tensor unit_normal_rows(std::int64_t n, const char* name) {
  const at::Tensor rows = at::randn({n, 20}, named_generator(3, name), at::TensorOptions(at::kFloat));
  return rows / rows.norm(2, {1}, true);
}

std::string said_of(const at::Tensor& a, const at::Tensor& b) {
  RunComparison comparison;
  comparison.all = compare_dictionaries(a, b);
  return conclusions(comparison).front();
}

TEST(CompareSummary, ANarrowDictionaryInAWideOneIsNotTheSame) {
  const at::Tensor narrow = unit_normal_rows(16, "narrow");
  const at::Tensor wide = at::cat({narrow, unit_normal_rows(48, "more")});
  tests::expect_words(said_of(narrow, narrow), {"They have mostly the same features"});
  tests::expect_words(said_of(narrow, wide), {"of which A's 16 are mostly among B's 64"});
  tests::expect_words(said_of(wide, narrow), {"of which B's 16 are mostly among A's 64"});
}

}  // namespace
}  // namespace regulon::core
