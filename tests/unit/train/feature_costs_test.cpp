/// What the core makes of a feature cost: scaled, bounded, warmed up.

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/config/config.h"
#include "core/plugin/host.h"
#include "core/train/statistics.h"
#include "tests/unit/support/expect_error.h"

namespace regulon::core {
namespace {

/// A config whose cost is quadratic_frequency with p0 = 1, so that a feature of frequency p costs 1 + p.
std::string text(const std::string& keys) {
  return fmt::format(R"(
[data]
source = "toy.pairs"
[model]
features = 3
[encoder]
plugin = "linear"
[[loss]]
plugin = "l1"
[cost]
plugin = "quadratic_frequency"
p0 = 1.0
{})",
                     keys);
}

std::vector<double> costs_of(const std::string& keys, std::int64_t step = 0, std::int64_t rows_seen = 100) {
  PluginHost host({std::filesystem::path(REGULON_BUILD_DIR) / "plugins"});
  Costs costs(parse_config(text(keys), "test.toml", {}, host), host);
  costs.prepare({});
  FeatureStats stats;
  stats.frequency = at::tensor({0.0F, 0.5F, 1.0F});
  stats.rows_seen = rows_seen;
  const Dictionary dictionary(at::ones({3, 2}), at::zeros({2}));
  const at::Tensor found = costs.at(step, stats, dictionary).to(at::kDouble);
  return {found.const_data_ptr<double>(), found.const_data_ptr<double>() + 3};
}

void expect_near(const std::vector<double>& found, const std::vector<double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-6) << i;
}

TEST(FeatureCosts, HaveTheMeanOneUnlessToldOtherwise) {
  expect_near(costs_of(""), {1 / 1.5, 1.0, 2 / 1.5});
  expect_near(costs_of("mean_one = false"), {1.0, 1.5, 2.0});
}

TEST(FeatureCosts, AreBoundedAfterScaling) {
  expect_near(costs_of("least = 0.8\ncap = 1.2"), {0.8, 1.0, 1.2});
  expect_near(costs_of("mean_one = false\nleast = 1.8"), {1.8, 1.8, 2.0});
}

TEST(FeatureCosts, WarmUpFromOne) {
  expect_near(costs_of("mean_one = false\nwarm_up = 10", 4), {1.0, 1.2, 1.4});
  expect_near(costs_of("mean_one = false\nwarm_up = 10", 10), {1.0, 1.5, 2.0});
}

TEST(FeatureCosts, AreOneBeforeAnythingWasSeen) {
  expect_near(costs_of("mean_one = false", 0, 0), {1.0, 1.0, 1.0});
}

TEST(FeatureCosts, RefusesBoundsThatContradictEachOther) {
  tests::expect_error<InputError>([] { costs_of("least = 1.5"); }, {"'least' of [cost]", "at most 1"});
  tests::expect_error<InputError>([] { costs_of("mean_one = false\nleast = 3\ncap = 2"); },
                                  {"'least' of [cost]", "at most 2, the cap"});
}

}  // namespace
}  // namespace regulon::core
