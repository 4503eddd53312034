#include "core/report/charts.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace regulon::core::report {
namespace {

using nlohmann::json;

json data_of(const json& spec, const std::string& name) {
  for (const json& data : spec["data"]) {
    if (data["name"] == name) return data["values"];
  }
  ADD_FAILURE() << "no data " << name;
  return {};
}

json scale_of(const json& spec, const std::string& name) {
  for (const json& scale : spec["scales"]) {
    if (scale["name"] == name) return scale;
  }
  ADD_FAILURE() << "no scale " << name;
  return {};
}

TEST(Charts, ALogarithmicAxisLeavesOutWhatHasNoLogarithm) {
  const Series series{"a", {{1, 100}, {2, 0}, {3, -5}, {4, std::nan("")}, {5, 0.01}}};
  EXPECT_EQ(data_of(line_chart({series}, {"x", false}, {"y", true}), "points").size(), 2U);
  EXPECT_EQ(data_of(line_chart({series}, {"x", false}, {"y", false}), "points").size(), 4U);
}

TEST(Charts, ALogarithmIsWantedForPositiveValuesOfSeveralSizes) {
  EXPECT_TRUE(wants_logarithm({{"a", {{0, 1}, {1, 0.01}}}}));
  EXPECT_FALSE(wants_logarithm({{"a", {{0, 1}, {1, 0.5}}}}));
  EXPECT_FALSE(wants_logarithm({{"a", {{0, 1}, {1, 0.01}}}, {"b", {{0, -1}}}}));
  EXPECT_FALSE(wants_logarithm({}));
}

TEST(Charts, TicksOfALogarithmicAxisLieInItsDomain) {
  const json spec = line_chart({{"a", {{0, 0.03}, {1, 4}}}}, {"x", false}, {"y", true});
  const json domain = scale_of(spec, "y")["domain"];
  const json ticks = spec["axes"][0]["values"];
  EXPECT_EQ(spec["axes"][0]["title"], "y");
  ASSERT_GE(ticks.size(), 3U);
  for (const json& tick : ticks) {
    EXPECT_GE(tick.get<double>(), domain[0].get<double>());
    EXPECT_LE(tick.get<double>(), domain[1].get<double>());
  }
}

TEST(Charts, TheSmallestAndTheLargestNumbersHaveALogarithmicAxis) {
  constexpr double kSmallest = std::numeric_limits<double>::denorm_min();
  constexpr double kLargest = std::numeric_limits<double>::max();
  const json spec = line_chart({{"a", {{0, kSmallest}, {1, kLargest}}}}, {"x", false}, {"y", true});
  const json domain = scale_of(spec, "y")["domain"];
  EXPECT_GT(domain[0].get<double>(), 0);
  EXPECT_EQ(domain[1].get<double>(), kLargest);
  const json ticks = spec["axes"][0]["values"];
  ASSERT_EQ(ticks.size(), 632U);  // 1e-323 to 1e308: one for each exponent
  EXPECT_EQ(ticks.back().get<double>(), 1e308);
}

TEST(Charts, ALongSeriesIsThinnedAndKeepsItsEnds) {
  Series series{"a", {}};
  for (int i = 0; i < 10'001; ++i) series.points.emplace_back(i, i);
  const json points = data_of(line_chart({series}, {"x", false}, {"y", false}), "points");
  EXPECT_LE(points.size(), kDrawnPoints + 1);
  EXPECT_EQ(points.front()["x"], 0);
  EXPECT_EQ(points.back()["x"], 10'000);
}

TEST(Charts, OneSeriesNeedsNoLegend) {
  const Series series{"a", {{0, 1}}};
  EXPECT_FALSE(line_chart({series}, {"x", false}, {"y", false}).contains("legends"));
  EXPECT_TRUE(line_chart({series, {"b", {{0, 2}}}}, {"x", false}, {"y", false}).contains("legends"));
}

TEST(Charts, AHeatMapHasACellForEachPair) {
  const json cells = data_of(
      heat_map({{"r0", "r1"}, {"c0", "c1", "c2"}, {0, 0.1, 0.2, 1, 1.1, 1.25}}, {"x", false}, {"y", false}),
      "cells");
  ASSERT_EQ(cells.size(), 6U);
  EXPECT_EQ(cells[5], (json{{"x", "c2"}, {"y", "r1"}, {"v", 1.25}}));
  EXPECT_EQ(cells[1], (json{{"x", "c1"}, {"y", "r0"}, {"v", 0.1}}));
}

TEST(Charts, BarsOfATradeOffStayPositiveOnALogarithmicAxis) {
  TradeOff data;
  data.points = {{"p", "", "", 10, 20, 0.5, 0.1}};
  data.colours = data.shapes = {""};
  const json point = data_of(trade_off_chart(data, {"x", true}, {"y", false}), "points")[0];
  EXPECT_GT(point["x_low"].get<double>(), 0);
  EXPECT_DOUBLE_EQ(point["x_high"].get<double>(), 30);
  EXPECT_DOUBLE_EQ(point["y_low"].get<double>(), 0.4);
}

TEST(Charts, EmptyChartsAreWhole) {
  EXPECT_TRUE(data_of(line_chart({}, {"x", false}, {"y", true}), "points").empty());
  EXPECT_TRUE(data_of(dot_chart({}, {"x", false}), "points").empty());
  EXPECT_TRUE(data_of(trade_off_chart({}, {"x", true}, {"y", true}), "points").empty());
}

}  // namespace
}  // namespace regulon::core::report
