/// Measures against scipy, numpy and SAELens (tests/golden/measures.py).
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <regulon/assignment.h>
#include <regulon/matching.h>

#include <filesystem>
#include <limits>

#include "core/io/safetensors.h"
#include "core/measure/dictionary_comparison.h"
#include "core/measure/firing.h"
#include "core/measure/known_features.h"
#include "core/measure/nearest.h"
#include "core/measure/row_losses.h"

namespace regulon::core {
namespace {

class MeasuresGolden : public ::testing::Test {
 protected:
  at::Tensor fixture(const std::string& name) const { return file_.tensor(name).clone(); }
  double number(const std::string& name) const { return fixture(name).item<double>(); }
  at::Tensor a() const { return unit_directions(fixture("a")); }
  at::Tensor b() const { return unit_directions(fixture("b")); }

  SafetensorsFile file_{std::filesystem::path(REGULON_SOURCE_DIR) / "tests/golden/measures.safetensors"};
};

/// Expects the matching to be one, with the mean that it says.
void expect_matching(const ops::Matching& found, const at::Tensor& cosines, double mean) {
  EXPECT_TRUE(found.exact);
  EXPECT_NEAR(found.mean, mean, 1e-6);
  std::vector<bool> taken(static_cast<std::size_t>(cosines.size(1)));
  double sum = 0;
  std::int64_t pairs = 0;
  for (std::int64_t i = 0; i < cosines.size(0); ++i) {
    const auto j = found.other[i].item<std::int64_t>();
    if (j < 0) continue;
    EXPECT_FALSE(taken.at(static_cast<std::size_t>(j)));
    taken.at(static_cast<std::size_t>(j)) = true;
    EXPECT_NEAR(found.cosine[i].item<double>(), cosines[i][j].item<double>(), 1e-6);
    sum += cosines[i][j].item<double>();
    ++pairs;
  }
  EXPECT_EQ(pairs, found.pairs);
  EXPECT_EQ(pairs, std::min(cosines.size(0), cosines.size(1)));
  EXPECT_NEAR(sum / static_cast<double>(pairs), mean, 1e-6);
}

TEST_F(MeasuresGolden, AssignmentIsAsCheapAsScipys) {
  const at::Tensor costs = fixture("costs");
  ops::AssignmentPairs pairs;
  pairs.columns = costs.size(1);
  pairs.unmatched = 100;
  for (std::int64_t i = 0; i < costs.size(0); ++i) {
    pairs.offsets.push_back(i * pairs.columns);
    for (std::int64_t j = 0; j < pairs.columns; ++j) {
      pairs.column.push_back(j);
      pairs.cost.push_back(costs[i][j].item<double>());
    }
  }
  pairs.offsets.push_back(costs.numel());
  const ops::Assignment found = ops::assign(pairs);
  double total = 0;
  double dual = 0;
  for (std::int64_t i = 0; i < costs.size(0); ++i) {
    total += costs[i][found.column.at(static_cast<std::size_t>(i))].item<double>();
    dual += (costs[i] - at::tensor(found.price, at::kDouble)).min().item<double>();
  }
  for (const double price : found.price) dual += price;
  EXPECT_NEAR(total, number("costs.total"), 1e-12);
  EXPECT_NEAR(dual, total, 1e-12);  // the prices prove it
}

TEST_F(MeasuresGolden, MatchingIsScipys) {
  const at::Tensor cosines = at::mm(a(), b().t());
  for (const std::int64_t candidates : {1, 2, 32, 500}) {
    ops::MatchSettings settings;
    settings.candidates = candidates;
    settings.passes = 60;
    expect_matching(ops::match_rows(a(), b(), settings), cosines, number("assignment.signed"));
    expect_matching(ops::match_rows(b(), a(), settings), cosines.t(), number("assignment.signed"));
    settings.absolute = true;
    expect_matching(ops::match_rows(a(), b(), settings), cosines.abs(), number("assignment.absolute"));
    EXPECT_NEAR(ops::match_rows(a(), b(), settings).mean, number("mcc"), 1e-6);
    settings.absolute = false;
    const at::Tensor doubled = at::cat({a(), a().slice(0, 0, at::indexing::None, 4)});
    expect_matching(ops::match_rows(doubled, b(), settings), at::mm(doubled, b().t()),
                    number("assignment.doubled"));
  }
}

TEST_F(MeasuresGolden, BoundsHoldBeforeTheMatchingIsProven) {
  ops::MatchSettings settings;
  settings.candidates = 1;
  settings.passes = 1;
  const ops::Matching found = ops::match_rows(a(), b(), settings);
  EXPECT_LE(found.mean, number("assignment.signed") + 1e-6);
  EXPECT_GE(found.at_most, number("assignment.signed") - 1e-6);
  EXPECT_FALSE(found.exact);
}

TEST_F(MeasuresGolden, NearestAndMmcsAreNumpys) {
  ComparisonSettings settings;
  settings.ranks = {1, 10, 12};
  const DictionaryComparison found = compare_dictionaries(fixture("a"), fixture("b"), settings);
  EXPECT_NEAR(found.mmcs_a, number("mmcs.a"), 1e-6);
  EXPECT_NEAR(found.mmcs_b, number("mmcs.b"), 1e-6);
  EXPECT_TRUE(at::allclose(found.nearest_a, fixture("nearest.a").to(at::kFloat), 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(found.nearest_b, fixture("nearest.b").to(at::kFloat), 1e-5, 1e-6));
  EXPECT_NEAR(found.matching.mean, number("assignment.signed"), 1e-6);
  const NearestCosines& a_in_b = found.nearest.at(0);
  EXPECT_EQ(a_in_b.name, "a_in_b");
  ASSERT_EQ(a_in_b.ranks.size(), 3U);
  EXPECT_NEAR(a_in_b.ranks[1].mean, fixture("nearest.a").select(1, 9).mean().item<double>(), 1e-6);
  std::int64_t counted = 0;
  for (const std::int64_t count : a_in_b.ranks[1].histogram) counted += count;
  EXPECT_EQ(counted, 90);
}

TEST_F(MeasuresGolden, KnownFeaturesAreJudgedAsBySaeLens) {
  const KnownFeatures known =
      compare_with_known(known_directions(fixture("a"), fixture("b")), at::ones({90}));
  EXPECT_NEAR(known.mcc, number("mcc"), 1e-6);
  EXPECT_NEAR(known.uniqueness, number("uniqueness"), 1e-6);
  FiringCollector collector(known.directions.matched, known.truths());
  const at::Tensor codes = fixture("codes").to(at::kFloat);
  const at::Tensor active = fixture("active").to(at::kFloat);
  for (std::int64_t first = 0; first < codes.size(0); first += 130) {
    const std::int64_t end = std::min<std::int64_t>(first + 130, codes.size(0));
    collector.add(Codes::dense(codes.slice(0, first, end)), Codes::dense(active.slice(0, first, end)));
  }
  const Firing found = collector.result();
  const at::Tensor theirs = fixture("classification");
  EXPECT_NEAR(found.precision, theirs[0].item<double>(), 1e-6);
  EXPECT_NEAR(found.recall, theirs[1].item<double>(), 1e-6);
  EXPECT_NEAR(found.f1, theirs[2].item<double>(), 1e-6);
  EXPECT_NEAR(found.accuracy, theirs[3].item<double>(), 1e-6);
  EXPECT_EQ(found.precisions[3].item<double>(), 0);  // never active
  EXPECT_NEAR(found.true_l0, active.sum(1).mean().item<double>(), 1e-5);
}

TEST_F(MeasuresGolden, LossesAreNumpys) {
  LossPairCollector collector;
  const at::Tensor of_a = fixture("losses.a");
  const at::Tensor of_b = fixture("losses.b");
  for (std::int64_t first = 0; first < of_a.size(0); first += 70) {
    const std::int64_t end = std::min<std::int64_t>(first + 70, of_a.size(0));
    collector.add(of_a.slice(0, first, end), of_b.slice(0, first, end));
  }
  const LossComparison found = collector.result(2);
  EXPECT_NEAR(found.correlation.value(), number("losses.correlation"), 1e-10);
  EXPECT_NEAR(found.log_correlation.value(), number("losses.log_correlation"), 1e-10);
  EXPECT_NEAR(found.a.mean, of_a.mean().item<double>() / 2, 1e-12);
  EXPECT_NEAR(found.a.tail, number("losses.tail"), 1e-3 * number("losses.tail"));
  const at::Tensor quantiles = fixture("losses.quantiles") / 2;
  for (std::int64_t i = 0; i < 4; ++i) {
    const double theirs = quantiles[i].item<double>();
    EXPECT_NEAR(found.a.quantiles.at(static_cast<std::size_t>(i)).second, theirs, 1e-3 * theirs);
  }
  EXPECT_EQ(found.a.worst.at(0).row, of_a.argmax().item<std::int64_t>());
  EXPECT_EQ(found.a_worse.at(0).row, (of_a - of_b).argmax().item<std::int64_t>());
  EXPECT_EQ(found.b_worse.at(0).row, (of_b - of_a).argmax().item<std::int64_t>());
  EXPECT_NEAR(found.a_better, (of_a < of_b).to(at::kDouble).mean().item<double>(), 1e-12);
}

}  // namespace
}  // namespace regulon::core
