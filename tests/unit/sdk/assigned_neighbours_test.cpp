/// One-to-one neighbours against scipy's linear_sum_assignment (tests/golden/assigned_neighbours.py).
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <regulon/assigned_neighbours.h>
#include <regulon/error.h>
#include <regulon/matching.h>

#include <filesystem>

#include "core/io/safetensors.h"
#include "tests/unit/support/toy_step.h"

namespace regulon::assigned_neighbours_test {
namespace {

using tests::normal;

at::Tensor unit(const at::Tensor& rows) { return rows / rows.norm(2, 1, true); }

/// Expects a permutation without fixed points of the rows that are not zero, whose mean is what it says.
double checked_mean(const at::Tensor& rows, const ops::AssignedNeighbours& found, bool absolute,
                    const std::string& what) {
  const at::Tensor alive = (rows.norm(2, 1) > 0).nonzero().squeeze(1);
  EXPECT_TRUE(at::equal(found.row, alive)) << what;
  EXPECT_TRUE(at::equal(std::get<0>(found.other.sort()), alive)) << what;
  EXPECT_FALSE((found.row == found.other).any().item<bool>()) << what;
  EXPECT_TRUE((found.share == 1).all().item<bool>()) << what;
  EXPECT_EQ(found.share.scalar_type(), rows.scalar_type()) << what;
  const at::Tensor cosines =
      (rows.index_select(0, found.row) * rows.index_select(0, found.other)).sum(1).to(at::kDouble);
  const double mean = (absolute ? cosines.abs() : cosines).mean().item<double>();
  EXPECT_NEAR(found.mean, mean, 1e-6) << what;
  EXPECT_TRUE(found.exact) << what;
  return mean;
}

TEST(AssignedNeighbours, AreScipysBest) {
  const core::SafetensorsFile file(std::filesystem::path(REGULON_SOURCE_DIR) /
                                   "tests/golden/assigned_neighbours.safetensors");
  for (const std::string name : {"random", "crowded", "grouped", "three", "equal"}) {
    for (const bool absolute : {true, false}) {
      const std::string key = name + (absolute ? ".absolute" : ".signed");
      const double theirs = file.tensor(key).item<double>();
      const at::Tensor rows = file.tensor(name + ".rows").clone();
      const ops::AssignedNeighbours found = ops::assigned_neighbours(rows, absolute);
      EXPECT_NEAR(checked_mean(rows, found, absolute, key), theirs, 1e-10) << key;
      EXPECT_NEAR(found.at_most, theirs, 1e-10) << key;
      const at::Tensor single = rows.to(at::kFloat);
      EXPECT_NEAR(checked_mean(single, ops::assigned_neighbours(single, absolute), absolute, key), theirs,
                  2e-6)
          << key;
    }
  }
}

TEST(AssignedNeighbours, OfFewRowsAndRowsOfZeros) {
  EXPECT_EQ(ops::assigned_neighbours(at::zeros({0, 3}, at::kDouble)).row.size(0), 0);
  EXPECT_EQ(ops::assigned_neighbours(at::zeros({5, 3}, at::kDouble)).row.size(0), 0);
  EXPECT_EQ(ops::assigned_neighbours(unit(normal({1, 3}, 1))).other.size(0), 0);

  // Two have each other, whatever their cosine.
  const at::Tensor two = at::tensor({1.0, 0.0, -1.0, 0.0}, at::kDouble).view({2, 2});
  for (const bool absolute : {true, false}) {
    const ops::AssignedNeighbours found = ops::assigned_neighbours(two, absolute);
    EXPECT_TRUE(at::equal(found.other, at::tensor({1, 0}, at::kLong)));
    EXPECT_NEAR(checked_mean(two, found, absolute, "two"), absolute ? 1.0 : -1.0, 1e-12);
  }

  at::Tensor rows = unit(normal({9, 4}, 2));
  const at::Tensor alive = at::tensor({0, 2, 3, 4, 5, 7, 8}, at::kLong);
  const ops::AssignedNeighbours without = ops::assigned_neighbours(rows.index_select(0, alive));
  rows[1].zero_();
  rows[6].zero_();
  const ops::AssignedNeighbours found = ops::assigned_neighbours(rows);
  checked_mean(rows, found, true, "zeros");
  EXPECT_TRUE(at::equal(found.other, alive.index_select(0, without.other)));
}

/// Many equal sizes, more than there are candidates: rows of two directions only.
TEST(AssignedNeighbours, OfRowsThatAreAllAlike) {
  at::Tensor rows = at::zeros({201, 4}, at::kDouble);
  rows.select(1, 0).narrow(0, 0, 100).fill_(1);
  rows.select(1, 1).narrow(0, 100, 101).fill_(1);
  EXPECT_NEAR(checked_mean(rows, ops::assigned_neighbours(rows), true, "two directions"), 1.0, 1e-12);
  EXPECT_NEAR(checked_mean(at::eye(50, at::kDouble), ops::assigned_neighbours(at::eye(50, at::kDouble)), true,
                           "none alike"),
              0.0, 1e-12);
  // One row is alone with its direction: it and its neighbour's neighbour lose.
  at::Tensor odd = at::zeros({9, 4}, at::kDouble);
  odd.select(1, 0).narrow(0, 0, 8).fill_(1);
  odd.select(1, 1).narrow(0, 8, 1).fill_(1);
  EXPECT_NEAR(checked_mean(odd, ops::assigned_neighbours(odd), true, "odd"), 7.0 / 9, 1e-12);
}

TEST(AssignedNeighbours, DoNotDependOnThreads) {
  const at::Tensor rows = unit(normal({700, 40}, 3)).to(at::kFloat);
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const ops::AssignedNeighbours alone = ops::assigned_neighbours(rows);
  at::set_num_threads(3);
  const ops::AssignedNeighbours together = ops::assigned_neighbours(rows);
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(alone.other, together.other));
  EXPECT_EQ(alone.mean, together.mean);
}

TEST(MatchRows, RefusesRowsThatDoNotFit) {
  const at::Tensor rows = unit(normal({5, 3}, 4));
  EXPECT_THROW(ops::match_rows(rows, unit(normal({5, 2}, 4))), RunError);
  EXPECT_THROW(ops::match_rows(rows, rows.to(at::kFloat)), RunError);
  ops::MatchSettings settings;
  settings.no_fixed_points = true;
  EXPECT_THROW(ops::match_rows(rows, rows.narrow(0, 0, 4), settings), RunError);
}

/// Without candidates to speak of and without passes, a matching is whole all the same.
TEST(MatchRows, IsWholeWhenItGivesUpEarly) {
  for (const std::int64_t n : {2, 3, 4, 5, 40}) {
    const at::Tensor rows = unit(at::ones({n, 3}, at::kDouble) + 0.3 * normal({n, 3}, 5));
    ops::MatchSettings settings;
    settings.no_fixed_points = true;
    settings.candidates = 1;
    settings.passes = 0;
    const ops::Matching found = ops::match_rows(rows, rows, settings);
    EXPECT_TRUE(at::equal(std::get<0>(found.other.sort()), at::arange(n, at::kLong))) << n;
    EXPECT_FALSE((found.other == at::arange(n, at::kLong)).any().item<bool>()) << n;
    EXPECT_LE(found.mean, found.at_most) << n;
  }
}

}  // namespace
}  // namespace regulon::assigned_neighbours_test
