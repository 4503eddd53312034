#include <regulon/neighbour_lists.h>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

#include "ops_reference.h"
#include "tests/unit/support/expect_error.h"

namespace regulon {
namespace {

Preparation outline(std::int64_t n, std::int64_t d, at::ScalarType type) {
  Preparation preparation;
  preparation.features = n;
  preparation.width = d;
  preparation.dictionary_weight = at::zeros({n, d}, type);
  return preparation;
}

at::Tensor units(const at::Tensor& rows) { return rows / rows.norm(2, 1, true).clamp_min(1e-30); }

/// Largest |cos| of each row with another, by one dense product.
at::Tensor nearest_by_force(const at::Tensor& rows) {
  return rows.mm(rows.t()).abs().fill_diagonal_(-1).amax(1);
}

/// The size of the cosine that was handed out for each row; shares of a row have to add up to one.
at::Tensor handed_out(const at::Tensor& rows, const ops::Neighbours& found) {
  at::Tensor sizes = at::zeros({rows.size(0)}, rows.options());
  at::Tensor shares = at::zeros({rows.size(0)}, rows.options());
  shares.index_add_(0, found.row, found.share);
  EXPECT_TRUE(at::allclose(shares, at::ones_like(shares)));
  const at::Tensor cosines = ops::pair_cosines(rows, found.row, found.other).abs();
  sizes.index_put_({found.row}, cosines);
  return sizes;
}

TEST(NeighbourListsTest, TheFirstCallIsExact) {
  at::manual_seed(51);
  for (const auto type : {at::kFloat, at::kDouble}) {
    for (const auto& [n, d] : {std::pair{2, 3}, {17, 8}, {300, 16}, {1500, 40}}) {
      Preparation preparation = outline(n, d, type);
      NeighbourLists lists;
      lists.prepare(preparation, {});
      const at::Tensor rows = units(at::randn({n, d}, type));
      const ops::Neighbours found = lists.nearest(rows);
      EXPECT_TRUE(at::allclose(handed_out(rows, found), nearest_by_force(rows), 1e-5, 1e-6)) << n;
      EXPECT_TRUE(lists.report().empty());
    }
  }
}

/// Rows that move by about `pace` of their length a call.
at::Tensor moved(const at::Tensor& rows, double pace) {
  return units(rows + at::randn_like(rows) * (pace / std::sqrt(static_cast<double>(rows.size(1)))));
}

TEST(NeighbourListsTest, TheAuditSaysWhatABruteForceCheckSays) {
  at::manual_seed(52);
  constexpr std::int64_t kFeatures = 600;
  constexpr std::int64_t kPeriod = 10;
  Preparation preparation = outline(kFeatures, 24, at::kFloat);
  NeighbourLists lists;
  lists.prepare(preparation, {4, kPeriod, 1e9, 1});  // a tolerance that never shortens the period
  at::Tensor rows = units(at::randn({kFeatures, 24}));
  lists.nearest(rows);
  double deficit = 0;
  double recall = 0;
  for (std::int64_t call = 0; call < kPeriod; ++call) {
    rows = moved(rows, 0.05);
    const std::int64_t begin = call * kFeatures / kPeriod;
    // The lists that this call finds: those of the rows that it renews are as old as they get.
    const at::Tensor before = preparation.states()[0].tensor.clone();
    lists.nearest(rows);
    const at::Tensor cosines = rows.mm(rows.t()).abs().fill_diagonal_(-1);
    for (std::int64_t row = begin; row < begin + kFeatures / kPeriod; ++row) {
      const double held = cosines[row].index_select(0, before[row]).max().item<double>();
      const double best = cosines[row].max().item<double>();
      deficit += (best - held) / kFeatures;
      recall += held >= best - 1e-6 ? 1.0 / kFeatures : 0;
    }
  }
  const auto report = lists.report();
  EXPECT_NEAR(report.at("recall"), recall, 1e-9);
  EXPECT_NEAR(report.at("deficit"), deficit, 1e-5);
  EXPECT_LT(recall, 1);
  EXPECT_GT(deficit, 0);
}

/// Longer periods renew some rows at every few calls: here 76 of 608 at every second.
TEST(NeighbourListsTest, TheAuditAlsoSaysItWhereRenewalsWait) {
  at::manual_seed(55);
  constexpr std::int64_t kFeatures = 608;
  Preparation preparation = outline(kFeatures, 24, at::kFloat);
  NeighbourLists lists;
  lists.prepare(preparation, {4, 16, 1e9, 1});
  at::Tensor rows = units(at::randn({kFeatures, 24}));
  lists.nearest(rows);
  double deficit = 0;
  double recall = 0;
  for (std::int64_t call = 1; call <= 16; ++call) {
    rows = moved(rows, 0.05);
    const at::Tensor before = preparation.states()[0].tensor.clone();
    lists.nearest(rows);
    if (call % 2 == 1) continue;
    const at::Tensor cosines = rows.mm(rows.t()).abs().fill_diagonal_(-1);
    for (std::int64_t row = (call / 2 - 1) * 76; row < call / 2 * 76; ++row) {
      const double held = cosines[row].index_select(0, before[row]).max().item<double>();
      const double best = cosines[row].max().item<double>();
      deficit += (best - held) / kFeatures;
      recall += held >= best - 1e-6 ? 1.0 / kFeatures : 0;
    }
  }
  EXPECT_NEAR(lists.report().at("recall"), recall, 1e-9);
  EXPECT_NEAR(lists.report().at("deficit"), deficit, 1e-5);
  EXPECT_LT(recall, 1);
}

TEST(NeighbourListsTest, TheDeficitStaysWithinTheTolerance) {
  at::manual_seed(53);
  constexpr double kTolerance = 1e-3;
  Preparation preparation = outline(800, 32, at::kFloat);
  NeighbourLists lists;
  lists.prepare(preparation, {8, 200, kTolerance, 4});
  at::Tensor rows = units(at::randn({800, 32}));
  double late = 0;
  constexpr int kCalls = 900;
  constexpr int kSettled = 600;
  for (int call = 0; call < kCalls; ++call) {
    rows = moved(rows, 0.02);
    const ops::Neighbours found = lists.nearest(rows);
    if (call < kSettled) continue;
    late += (nearest_by_force(rows) - handed_out(rows, found)).mean().item<double>() / (kCalls - kSettled);
  }
  EXPECT_LT(late, kTolerance);
  EXPECT_LT(lists.report().at("period"), 200);
}

TEST(NeighbourListsTest, BeginWithAPeriodThatTheBatchCanAfford) {
  at::manual_seed(55);
  const at::Tensor rows = units(at::randn({800, 16}));
  const auto period = [&](std::int64_t batch, NeighbourListSettings settings) {
    Preparation preparation = outline(800, 16, at::kFloat);
    preparation.batch_rows = batch;
    NeighbourLists lists;
    lists.prepare(preparation, settings);
    while (lists.report().empty()) lists.nearest(rows);
    return lists.report().at("period");
  };
  EXPECT_EQ(period(4096, {}), 80);
  EXPECT_EQ(period(32, {}), 500) << "twenty times 800 / 32";
  EXPECT_EQ(period(1, {}), 1000) << "the longest there is";
  EXPECT_EQ(period(16, {16, 7}), 7);
}

TEST(NeighbourListsTest, UnmovedRowsLetThePeriodGrow) {
  at::manual_seed(54);
  Preparation preparation = outline(200, 16, at::kFloat);
  NeighbourLists lists;
  lists.prepare(preparation, {8, 4, 1e-3, 4});
  const at::Tensor rows = units(at::randn({200, 16}));
  for (int call = 0; call < 60; ++call) lists.nearest(rows);
  const auto report = lists.report();
  EXPECT_EQ(report.at("recall"), 1);
  EXPECT_EQ(report.at("deficit"), 0);
  EXPECT_GT(report.at("period"), 6);
}

TEST(NeighbourListsTest, RestoredStateGivesTheSameBitsOnAnyNumberOfThreads) {
  at::manual_seed(55);
  std::vector<at::Tensor> path = {units(at::randn({500, 20}))};
  for (int call = 0; call < 12; ++call) path.push_back(moved(path.back(), 0.05));
  const auto pairs = [&](int threads, int restore_at) {
    const test::Threads limit(threads);
    auto preparation = std::make_unique<Preparation>(outline(500, 20, at::kFloat));
    auto lists = std::make_unique<NeighbourLists>();
    lists->prepare(*preparation, {4, 5, 1e-3, 3});
    ops::Neighbours found;
    for (int call = 0; call < 13; ++call) {
      if (call == restore_at) {
        auto fresh = std::make_unique<Preparation>(outline(500, 20, at::kFloat));
        auto resumed = std::make_unique<NeighbourLists>();
        resumed->prepare(*fresh, {4, 5, 1e-3, 3});
        for (std::size_t i = 0; i < fresh->states().size(); ++i)
          at::Tensor(fresh->states()[i].tensor).copy_(preparation->states()[i].tensor);
        lists = std::move(resumed);
        preparation = std::move(fresh);
      }
      found = lists->nearest(path[static_cast<std::size_t>(call)]);
    }
    return at::cat({found.row, found.other});
  };
  const at::Tensor expected = pairs(1, -1);
  EXPECT_TRUE(at::equal(pairs(2, -1), expected));
  EXPECT_TRUE(at::equal(pairs(2, 7), expected));
}

TEST(NeighbourListsTest, RowsThatAreNotFiniteAreRefusedAtAnyCall) {
  for (const int good_calls : {0, 1}) {
    Preparation preparation = outline(30, 8, at::kFloat);
    NeighbourLists lists;
    lists.prepare(preparation, {});
    at::Tensor rows = units(at::randn({30, 8}));
    for (int call = 0; call < good_calls; ++call) lists.nearest(rows);
    rows[4][2] = std::numeric_limits<float>::quiet_NaN();
    tests::expect_error<RunError>([&] { lists.nearest(rows); },
                                  {"NeighbourLists::nearest", "not of unit length", "not finite"});
  }
}

TEST(NeighbourListsTest, HardRows) {
  at::manual_seed(56);
  at::Tensor rows = units(at::randn({40, 8}));
  rows[3].zero_();
  rows[7].copy_(rows[9]);
  rows[11].copy_(-rows[9]);
  Preparation preparation = outline(40, 8, at::kFloat);
  NeighbourLists lists;
  lists.prepare(preparation, {});
  for (int call = 0; call < 3; ++call) {
    const ops::Neighbours found = lists.nearest(rows);
    EXPECT_FALSE(found.row.eq(3).any().item<bool>());  // a row of zeros has no neighbour, and is none
    EXPECT_FALSE(found.other.eq(3).any().item<bool>());
    const at::Tensor of_nine = found.other.masked_select(found.row.eq(9));
    EXPECT_TRUE(at::equal(of_nine, at::tensor({7, 11}, at::kLong)));  // both are as near
  }
  for (const std::int64_t n : {1, 2}) {
    Preparation few = outline(n, 4, at::kFloat);
    NeighbourLists small;
    small.prepare(few, {});
    const ops::Neighbours found = small.nearest(units(at::randn({n, 4})));
    EXPECT_EQ(found.row.size(0), n == 1 ? 0 : 2);
  }
}

}  // namespace
}  // namespace regulon
