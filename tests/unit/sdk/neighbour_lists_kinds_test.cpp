/// Neighbour lists of other ranks, of signed cosines, of some rows, and made anew all together.

#include <regulon/error.h>
#include <regulon/neighbour_lists.h>

#include <cmath>
#include <memory>
#include <vector>

#include "ops_reference.h"

namespace regulon {
namespace {

struct Lists {
  explicit Lists(std::int64_t n, std::int64_t d, const NeighbourListSettings& settings,
                 at::ScalarType type = at::kFloat) {
    preparation.features = n;
    preparation.width = d;
    preparation.dictionary_weight = at::zeros({n, d}, type);
    lists.prepare(preparation, settings);
  }
  Preparation preparation;
  NeighbourLists lists;
};

/// What the lists of `rank` and `absolute` are kept with otherwise.
NeighbourListSettings kind(std::int64_t rank, bool absolute) {
  NeighbourListSettings settings;
  settings.rank = rank;
  settings.absolute = absolute;
  return settings;
}

at::Tensor drifted(const at::Tensor& rows, double pace) {
  const at::Tensor next = rows + at::randn_like(rows) * (pace / std::sqrt(static_cast<double>(rows.size(1))));
  return next / next.norm(2, 1, true);
}

/// [n, others]: sizes of a matrix's cosines with others, largest first, in double.
at::Tensor sorted_sizes(const at::Tensor& rows, bool absolute) {
  at::Tensor cosines = test::defined_products(rows, rows);
  if (absolute) cosines = cosines.abs();
  return std::get<0>(cosines.fill_diagonal_(-2).to(at::kDouble).sort(1, true)).slice(1, 0, rows.size(0) - 1);
}

TEST(NeighbourListKinds, TheFirstCallIsTheExactSearch) {
  at::manual_seed(61);
  for (const auto type : {at::kFloat, at::kDouble}) {
    for (const std::int64_t n : {2, 5, 60, 700}) {
      at::Tensor rows = test::random_units(n, 8, type);
      if (n > 50) {
        rows[7] = rows[3];
        rows[11] = -rows[3];
        rows[9].zero_();
      }
      for (const std::int64_t rank : {1, 3, 40}) {
        for (const bool absolute : {true, false}) {
          for (const std::int64_t first : {std::int64_t{0}, n / 3}) {
            Lists kept(n, 8, kind(rank, absolute), type);
            const ops::Neighbours found = kept.lists.nearest(rows, first);
            const ops::Neighbours exact =
                ops::nearest_neighbours(rows, {rank, absolute, at::arange(first, n, at::kLong)});
            const std::string what =
                std::to_string(n) + " rows from " + std::to_string(first) + ", rank " + std::to_string(rank);
            EXPECT_TRUE(at::equal(found.row, exact.row)) << what;
            EXPECT_TRUE(at::equal(found.other, exact.other)) << what;
            EXPECT_TRUE(at::equal(found.share, exact.share)) << what;
          }
        }
      }
    }
  }
}

/// The audit's figures of a whole rotation, counted by hand from the lists as it found them.
TEST(NeighbourListKinds, RightAnglesAreNoRankForBothSearches) {
  // Row 0 is near row 2 alone: its second nearest is the farthest that it has, which is row 2 too.
  at::Tensor rows = at::zeros({4, 4});
  rows[0][0] = rows[1][1] = rows[3][3] = 1;
  rows[2][0] = rows[2][1] = std::sqrt(0.5);
  Lists kept(4, 4, kind(2, true));
  const ops::Neighbours found = kept.lists.nearest(rows);
  const ops::Neighbours exact = ops::nearest_neighbours(rows, {2, true, {}});
  for (const ops::Neighbours& each : {found, exact}) {
    EXPECT_TRUE(at::equal(each.row, at::tensor({0, 1, 2, 2}, at::kLong)));
    EXPECT_TRUE(at::equal(each.other, at::tensor({2, 2, 0, 1}, at::kLong)));
  }
}

TEST(NeighbourListKinds, TheAuditIsOfTheRankAskedFor) {
  constexpr std::int64_t kFeatures = 300;
  constexpr std::int64_t kPeriod = 10;
  for (const std::int64_t rank : {1, 3}) {
    for (const bool absolute : {true, false}) {
      at::manual_seed(62);
      NeighbourListSettings settings = kind(rank, absolute);
      settings.length = 5;
      settings.period = kPeriod;
      settings.tolerance = 1e9;
      settings.rank_every = 1;
      Lists kept(kFeatures, 24, settings);
      at::Tensor rows = test::random_units(kFeatures, 24, at::kFloat);
      kept.lists.nearest(rows);
      double deficit = 0;
      double recall = 0;
      for (std::int64_t call = 0; call < kPeriod; ++call) {
        rows = drifted(rows, 0.08);
        const at::Tensor before = kept.preparation.states()[0].tensor.clone();
        kept.lists.nearest(rows);
        at::Tensor sizes = test::defined_products(rows, rows);
        if (absolute) sizes = sizes.abs();
        const at::Tensor truly = sorted_sizes(rows, absolute).select(1, rank - 1);
        for (std::int64_t row = call * 30; row < call * 30 + 30; ++row) {
          const at::Tensor listed = std::get<0>(sizes[row].index_select(0, before[row]).sort(0, true));
          const double off =
              std::abs(truly[row].item<double>() - static_cast<double>(listed[rank - 1].item<float>()));
          deficit += off / kFeatures;
          recall += off == 0 ? 1.0 / kFeatures : 0;
        }
      }
      EXPECT_NEAR(kept.lists.report().at("recall"), recall, 1e-9) << rank << absolute;
      EXPECT_NEAR(kept.lists.report().at("deficit"), deficit, 1e-9) << rank << absolute;
      EXPECT_LT(recall, 1);
      EXPECT_GT(recall, 0.5);
    }
  }
}

TEST(NeighbourListKinds, HandedOutAreTheRankedOfTheList) {
  at::manual_seed(63);
  NeighbourListSettings settings = kind(2, false);
  settings.rank_every = 1;
  settings.period = 10;  // a longer one would be ranked less often
  Lists kept(200, 12, settings);
  at::Tensor rows = test::random_units(200, 12, at::kFloat);
  for (int call = 0; call < 5; ++call) {
    const ops::Neighbours found = kept.lists.nearest(rows);
    EXPECT_EQ(found.row.size(0), 200);
    const at::Tensor ids = kept.preparation.states()[0].tensor;
    const at::Tensor cosines = test::defined_products(rows, rows);
    for (std::int64_t row = 0; row < 200; ++row) {
      const at::Tensor listed = std::get<0>(cosines[row].index_select(0, ids[row]).sort(0, true));
      EXPECT_EQ(cosines[row][found.other[row].item<std::int64_t>()].item<float>(), listed[1].item<float>());
    }
    rows = drifted(rows, 0.02);
  }
}

TEST(NeighbourListKinds, TogetherAtEveryFifthCallAndNotBetween) {
  at::manual_seed(64);
  NeighbourListSettings settings;
  settings.length = 4;
  settings.renew_every = 5;
  Lists kept(300, 16, settings);
  at::Tensor rows = test::random_units(300, 16, at::kFloat);
  at::Tensor held;
  for (int call = 0; call < 16; ++call) {
    const at::Tensor before = kept.preparation.states()[0].tensor.clone();
    const ops::Neighbours found = kept.lists.nearest(rows);
    const at::Tensor sorted = std::get<0>(kept.preparation.states()[0].tensor.sort(1));
    if (call % 5 == 0) {
      const ops::Neighbours exact = ops::nearest_neighbours(rows);
      EXPECT_TRUE(at::equal(found.other, exact.other)) << call;
      held = sorted;
    } else {
      EXPECT_TRUE(at::equal(sorted, held)) << call;
    }
    if (call < 5) {
      EXPECT_TRUE(kept.lists.report().empty());
    } else {
      EXPECT_EQ(kept.lists.report().at("period"), 5);
    }
    if (call == 5) {
      // All lists were audited, each as old as it gets.
      const at::Tensor sizes = test::defined_products(rows, rows).abs();
      const at::Tensor best = sorted_sizes(rows, true).select(1, 0);
      double recall = 0;
      for (std::int64_t row = 0; row < 300; ++row) {
        const std::int64_t ranked_today = row % 4 == call % 4 ? 4 : 1;
        const at::Tensor listed = sizes[row].index_select(0, before[row].slice(0, 0, ranked_today));
        recall += static_cast<double>(listed.max().item<float>()) == best[row].item<double>() ? 1.0 / 300 : 0;
      }
      EXPECT_NEAR(kept.lists.report().at("recall"), recall, 1e-9);
      EXPECT_LT(recall, 1);
    }
    rows = drifted(rows, 0.05);
  }
}

TEST(NeighbourListKinds, RowsThatTurnToZeroLeaveTheListsThatAreRanked) {
  at::manual_seed(65);
  for (const bool absolute : {true, false}) {
    NeighbourListSettings settings = kind(1, absolute);
    settings.rank_every = 1;
    settings.period = 10;  // a longer one would be ranked less often
    Lists kept(40, 6, settings);
    at::Tensor rows = test::random_units(40, 6, at::kFloat);
    kept.lists.nearest(rows);
    rows.slice(0, 10, 20).zero_();
    const ops::Neighbours found = kept.lists.nearest(rows);
    for (const at::Tensor& ids : {found.row, found.other})
      EXPECT_EQ(((ids >= 10) * (ids < 20)).sum().item<std::int64_t>(), 0);
    EXPECT_EQ(found.share.sum().item<double>(), 30);
  }
}

TEST(NeighbourListKinds, ARowThatIsMadeAnewGetsIntoTheListsOfThoseItIsNear) {
  at::manual_seed(66);
  NeighbourListSettings settings;
  settings.period = 10;
  settings.length = 4;
  Lists kept(100, 30, settings);
  at::Tensor rows = test::random_units(100, 30, at::kFloat);
  kept.lists.nearest(rows);
  const at::Tensor held = kept.preparation.states()[0].tensor.clone();
  const auto move = [&](std::int64_t row, std::int64_t other) {
    const at::Tensor next = rows[other] + 0.3 * rows[row];
    rows[row].copy_(next / next.norm());
  };
  move(3, 57);   // row 3 is among the ten whose turn it is
  move(60, 71);  // neither of these is
  ASSERT_FALSE((held[57] == 3).any().item<bool>());
  ASSERT_FALSE((held[71] == 60).any().item<bool>());
  const ops::Neighbours found = kept.lists.nearest(rows);
  EXPECT_EQ(found.other[57].item<std::int64_t>(), 3);
  EXPECT_NE(found.other[71].item<std::int64_t>(), 60);
  // What it pushed out was the least near.
  EXPECT_EQ((kept.preparation.states()[0].tensor[57].unsqueeze(1) == held[57].unsqueeze(0)).sum().item<int>(),
            3);
}

TEST(NeighbourListKinds, OtherRowsThanPreparedForAreRefused) {
  NeighbourLists lists;
  EXPECT_THROW(lists.nearest(at::eye(4)), RunError);
  Lists kept(5, 4, {});
  EXPECT_THROW(kept.lists.nearest(at::eye(4)), RunError);
}

}  // namespace
}  // namespace regulon
