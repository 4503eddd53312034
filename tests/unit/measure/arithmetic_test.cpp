#include "core/measure/arithmetic.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <regulon/error.h>

#include "core/measure/nearest.h"
#include "tests/unit/support/expect_error.h"

namespace regulon::core {
namespace {

/// Forty parts in many dimensions, and rows that are: parts, sums of three of them, something else.
struct SumsToy {
  SumsToy() {
    at::manual_seed(5);
    parts = unit_directions(at::randn({40, 200}));
    const at::Tensor sums =
        parts.slice(0, 0, 10) + 0.8 * parts.slice(0, 10, 20) + 0.6 * parts.slice(0, 20, 30);
    const at::Tensor other = at::randn({10, 200});
    rows = unit_directions(at::cat({parts.slice(0, 0, 20), sums, other}));
  }
  at::Tensor parts;
  at::Tensor rows;
};

TEST(Arithmetic, TellsPartsFromSumsFromTheRest) {
  const SumsToy toy;
  const Arithmetic found = feature_arithmetic(toy.rows, toy.parts);
  EXPECT_NEAR(found.same, 0.5, 1e-12);
  EXPECT_NEAR(found.combined, 0.25, 1e-12);
  ASSERT_EQ(found.points.size(), 7U);
  const ArithmeticPoint& three = found.points.at(2);
  EXPECT_EQ(three.k, 3);
  EXPECT_NEAR(three.share_90, 0.75, 1e-12);
  EXPECT_NEAR(three.share_95, 0.75, 1e-12);
  EXPECT_NEAR(three.parts, (20 * 1 + 10 * 3) / 30.0, 0.7);  // noise may find a further part for the first
  EXPECT_EQ(three.random_90, 0);
  EXPECT_LT(three.random_cosine, 0.5);
  EXPECT_GT(three.mean_cosine, 0.75);

  // The sums are made of the parts that went into them.
  const at::Tensor sums = found.sums->to_dense();
  const at::Tensor named = (sums[20] > 0.1).nonzero().squeeze(1);
  EXPECT_TRUE(at::equal(named, at::tensor({0, 10, 20}, at::kLong)));
  const at::Tensor made = unit_directions(at::mm(sums, toy.parts));
  EXPECT_TRUE(at::allclose((made * toy.rows).sum(1), found.cosines.select(1, 3), 1e-4, 1e-5));
}

TEST(Arithmetic, NegativePartsDoNotCount) {
  const SumsToy toy;
  const Arithmetic found = feature_arithmetic(-toy.parts, toy.parts);
  EXPECT_EQ(found.same, 0);
  EXPECT_EQ(found.points.front().share_90, 0);
}

TEST(Arithmetic, LooksAtEvenlySpacedRows) {
  const SumsToy toy;
  ArithmeticSettings settings;
  settings.features = 10;
  settings.parts = {1, 50};  // more parts than there are: left out
  const Arithmetic found = feature_arithmetic(toy.rows, toy.parts, settings);
  EXPECT_TRUE(at::equal(found.ids, at::arange(0, 40, 4)));
  EXPECT_EQ(found.points.size(), 3U);
  EXPECT_EQ(found.of, 40);
}

TEST(Arithmetic, RefusesNoRows) {
  const SumsToy toy;
  tests::expect_error<InputError>([&] { feature_arithmetic(toy.rows, toy.parts.slice(0, 0, 0)); },
                                  {"at least one on each side"});
}

}  // namespace
}  // namespace regulon::core
