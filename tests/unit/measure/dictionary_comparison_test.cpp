#include "core/measure/dictionary_comparison.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <regulon/error.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "tests/unit/support/expect_error.h"

namespace regulon::core {
namespace {

at::Tensor some_dictionary(std::int64_t features, std::int64_t width, std::uint64_t seed) {
  at::manual_seed(seed);
  return at::randn({features, width});
}

TEST(DictionaryComparison, ADictionaryIsItself) {
  const at::Tensor rows = some_dictionary(200, 16, 1);
  const DictionaryComparison found = compare_dictionaries(rows, rows);
  EXPECT_NEAR(found.mmcs_a, 1, 1e-6);
  EXPECT_NEAR(found.mmcs_b, 1, 1e-6);
  EXPECT_NEAR(found.matching.mean, 1, 1e-6);
  EXPECT_EQ(found.unique_a, 1);
  EXPECT_EQ(found.by_chance_a, 0);
  EXPECT_EQ(found.matched_share.back(), (std::pair{0.95, 1.0}));
  EXPECT_TRUE(at::equal(found.matching.other, at::arange(200)));
  EXPECT_LT(found.nearest.at(4).ranks.at(0).mean, 0.99);  // within A, none is its own neighbour
}

TEST(DictionaryComparison, OrderAndLengthOfRowsDoNotMatter) {
  const at::Tensor rows = some_dictionary(150, 12, 2);
  const at::Tensor order = at::randperm(150);
  const at::Tensor lengths = at::rand({150, 1}) + 0.1;
  const DictionaryComparison found = compare_dictionaries(rows, rows.index_select(0, order) * lengths);
  EXPECT_NEAR(found.mmcs_a, 1, 1e-6);
  EXPECT_NEAR(found.matching.mean, 1, 1e-6);
  EXPECT_TRUE(at::equal(order.index({found.matching.other}), at::arange(150)));
  EXPECT_TRUE(at::equal(found.nearest_ids_a.select(1, 0), found.matching.other));
}

TEST(DictionaryComparison, RandomDirectionsAreAsChanceSays) {
  const DictionaryComparison found =
      compare_dictionaries(some_dictionary(3000, 32, 3), some_dictionary(2000, 32, 4));
  EXPECT_NEAR(found.mmcs_a, found.random_a, 0.005);
  EXPECT_NEAR(found.mmcs_b, found.random_b, 0.005);
  EXPECT_NEAR(found.by_chance_a, 0.99, 0.01);
  EXPECT_GT(found.mmcs_b, found.mmcs_a);  // there are more of A's to be near to
  const auto& a_in_a = found.nearest.at(4);
  const auto& random_in_a = found.nearest.at(3);
  ASSERT_EQ(random_in_a.name, "random_in_a");
  for (std::size_t rank = 0; rank < 3; ++rank)
    EXPECT_NEAR(a_in_a.ranks.at(rank).mean, random_in_a.ranks.at(rank).mean, 0.005);
  EXPECT_TRUE(found.matching.exact);
}

TEST(DictionaryComparison, OfManyFeaturesSomeLookForTheirNearestWithin) {
  const at::Tensor a = some_dictionary(300, 8, 11);
  ComparisonSettings few;
  few.own_rows = 100;
  const auto mean = [](const DictionaryComparison& found) { return found.nearest.at(4).ranks.at(0).mean; };
  at::Tensor cosines = at::matmul(a / a.norm(2, {1}, true), (a / a.norm(2, {1}, true)).t());
  cosines.fill_diagonal_(-2);
  const at::Tensor best = std::get<0>(cosines.max(1));
  EXPECT_NEAR(mean(compare_dictionaries(a, a, few)), best.slice(0, 0, 300, 3).mean().item<double>(), 1e-5);
  EXPECT_NEAR(mean(compare_dictionaries(a, a)), best.mean().item<double>(), 1e-5);
}

TEST(DictionaryComparison, TheSeedIsOfTheRandomDirectionsOnly) {
  const at::Tensor a = some_dictionary(60, 8, 5);
  const at::Tensor b = some_dictionary(70, 8, 6);
  ComparisonSettings other;
  other.seed = 1;
  const nlohmann::json first = to_json(compare_dictionaries(a, b));
  EXPECT_EQ(first, to_json(compare_dictionaries(a, b)));
  const nlohmann::json second = to_json(compare_dictionaries(a, b, other));
  EXPECT_EQ(first.at("mcc"), second.at("mcc"));
  EXPECT_NE(first.at("a").at("mmcs_random"), second.at("a").at("mmcs_random"));
}

TEST(DictionaryComparison, UniquenessCountsSharedNeighbours) {
  const at::Tensor b = at::eye(4);
  const at::Tensor a = at::cat({b.slice(0, 0, 1), b.slice(0, 0, 1), b.slice(0, 0, 2)});  // 0 0 0 1
  const DictionaryComparison found = compare_dictionaries(a, b);
  EXPECT_EQ(found.unique_a, 0.5);
  EXPECT_NEAR(found.mmcs_b, 0.5, 1e-6);
  EXPECT_NEAR(found.matching.mean, 0.5, 1e-6);
}

TEST(DictionaryComparison, RowsOfZerosAreLeftOut) {
  at::Tensor a = some_dictionary(30, 8, 7);
  a[4].zero_();
  const at::Tensor b = some_dictionary(20, 8, 8);
  const DictionaryComparison found = compare_dictionaries(a, b);
  EXPECT_EQ(found.features_a, 29);
  EXPECT_EQ(found.zero_a, 1);
  EXPECT_FALSE((found.nearest_ids_b == 4).any().item<bool>());
  EXPECT_EQ(found.ids_a[4].item<std::int64_t>(), 5);
  const NamedTensors tables = feature_tables(found, "all.");
  EXPECT_EQ(find_tensor(tables, "all.a.match").size(0), 29);
  EXPECT_EQ((find_tensor(tables, "all.a.match") >= 0).sum().item<std::int64_t>(), 20);
}

TEST(DictionaryComparison, OneFeatureIsEnough) {
  const DictionaryComparison found =
      compare_dictionaries(some_dictionary(1, 8, 9), some_dictionary(1, 8, 10));
  EXPECT_EQ(found.matching.pairs, 1);
  EXPECT_EQ(found.mmcs_a, found.mmcs_b);
  EXPECT_TRUE(found.nearest.at(4).ranks.empty());  // it has no neighbour
  EXPECT_EQ(found.nearest.at(0).ranks.size(), 1U);
}

TEST(DictionaryComparison, RefusesWhatHasNoDirections) {
  const at::Tensor rows = some_dictionary(5, 8, 11);
  const auto refused = [&](const at::Tensor& b, const std::string& word) {
    tests::expect_error<InputError>([&] { compare_dictionaries(rows, b); }, {word});
  };
  refused(at::zeros({5, 8}), "B: has no direction to compare");
  refused(at::zeros({5, 9}), "width 9 of B");
  refused(at::full({5, 8}, std::numeric_limits<float>::quiet_NaN()), "not finite");
  refused(at::zeros({0, 8}), "no direction");
}

}  // namespace
}  // namespace regulon::core
