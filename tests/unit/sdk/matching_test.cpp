/// What is left over when candidates run out, against a greedy choice by the whole matrix.

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <regulon/matching.h>

#include <chrono>

#include "tests/unit/support/toy_step.h"

namespace regulon::matching_test {
namespace {

using tests::normal;

at::Tensor units_of(const at::Tensor& rows) { return rows / rows.norm(2, 1, true); }

/// All rows of `a` have the same first choice, so that but one candidate each leaves nearly all of them over.
struct Crowd {
  explicit Crowd(std::int64_t n) {
    const at::Tensor middle = normal({1, 6}, 71);
    a = units_of(middle + 0.05 * normal({n, 6}, 72));
    b = units_of(normal({n, 6}, 73));
    b[n / 2] = units_of(middle)[0];
  }
  at::Tensor a;
  at::Tensor b;
};

TEST(MatchRows, GivesWhatIsLeftToTheNearestInTurn) {
  const Crowd crowd(60);
  for (const bool absolute : {false, true}) {
    ops::MatchSettings settings;
    settings.candidates = 1;
    settings.passes = 0;
    settings.absolute = absolute;
    const ops::Matching found = ops::match_rows(crowd.a, crowd.b, settings);
    EXPECT_TRUE(at::equal(std::get<0>(found.other.sort()), at::arange(60, at::kLong)));
    const at::Tensor products = crowd.a.matmul(crowd.b.t());
    const at::Tensor sizes = absolute ? products.abs() : products;
    EXPECT_TRUE(
        at::allclose(found.cosine, sizes.gather(1, found.other.unsqueeze(1)).squeeze(1), 1e-12, 1e-14));
    // Candidates are the first choices of rows and of columns; rows with another column were left over.
    const at::Tensor listed =
        (sizes == sizes.amax(1, true)).logical_or(sizes == sizes.amax(0, true)).to(at::kLong);
    const at::Tensor left = (listed.gather(1, found.other.unsqueeze(1)).squeeze(1) == 0).nonzero().squeeze(1);
    EXPECT_GT(left.size(0), 20);
    at::Tensor open = at::full({60}, -10.0, at::kDouble).index_fill_(0, found.other.index_select(0, left), 0);
    for (std::int64_t k = 0; k < left.size(0); ++k) {
      const auto row = left[k].item<std::int64_t>();
      const auto best = (sizes[row] + open).argmax().item<std::int64_t>();
      EXPECT_EQ(found.other[row].item<std::int64_t>(), best);
      open[best] = -10.0;
    }
  }
}

TEST(MatchRows, ManyThatAreLeftCostNoCallForEachPair) {
  const Crowd crowd(3000);
  ops::MatchSettings settings;
  settings.candidates = 1;
  settings.passes = 0;
  const auto start = std::chrono::steady_clock::now();
  const ops::Matching found = ops::match_rows(crowd.a, crowd.b, settings);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  EXPECT_LT(seconds.count(), 2.5);
  EXPECT_TRUE(at::equal(std::get<0>(found.other.sort()), at::arange(3000, at::kLong)));
}

}  // namespace
}  // namespace regulon::matching_test
