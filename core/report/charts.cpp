#include "core/report/charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/report/assets.h"
#include "core/report/words.h"

namespace regulon::core::report {
namespace {

using nlohmann::json;

constexpr double kWorthLogarithm = 20;
constexpr std::size_t kDotted = 40;    ///< a series of fewer points has them marked
constexpr double kWidestSquare = 540;  ///< of a heat map, in pixels
constexpr double kBesideNever = 0.7;   ///< decades that the word "never" takes on an axis
constexpr double kTinyTick = 1e-3;     ///< below and above these, ticks are written with an exponent
constexpr double kHugeTick = 1e6;

/// The chart `name` with the look that all have.
json chart(const std::string& name) {
  json spec = json::parse(asset("charts/" + name + ".json"));
  spec["config"] = json::parse(asset("charts/config.json"));
  return spec;
}

json& named(json& list, const std::string& name) {
  for (json& entry : list) {
    if (entry.value("name", "") == name) return entry;
  }
  throw std::logic_error("no " + name + " in a chart");
}

/// An interval that holds all of `values` with some air, positive where it has to be.
json domain_of(const std::vector<double>& values, bool logarithmic) {
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  for (const double value : values) {
    if (!std::isfinite(value) || (logarithmic && value <= 0)) continue;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  if (low > high) return logarithmic ? json{0.1, 1} : json{0, 1};
  if (logarithmic) return {low / 1.15, std::min(high * 1.15, std::numeric_limits<double>::max())};
  const double air = high > low ? 0.06 * (high - low) : std::max(std::abs(high) * 0.05, 1e-6);
  return {low - air, high + air};
}

/// Powers of ten, and where there are few of them twos and fives between: what a logarithmic axis is marked
/// with.
json decade_ticks(double low, double high) {
  json ticks = json::array();
  const bool few = std::log10(high / low) < 2.5;
  // Over exponents: the power itself may round to zero, or to infinity.
  const int last = static_cast<int>(std::floor(std::log10(high)));
  for (int exponent = static_cast<int>(std::floor(std::log10(low))); exponent <= last; ++exponent) {
    for (const double step : {1.0, 2.0, 5.0}) {
      const double tick = step * std::pow(10, exponent);
      if ((few || step == 1.0) && tick >= low && tick <= high) ticks.push_back(tick);
    }
  }
  return ticks;
}

/// Titles the axis along `scale` ("x", "y") and sets its domain to what holds all of `values` with some air.
void set_axis(json& spec, const std::string& name, const Scale& scale, const std::vector<double>& values) {
  json& along = named(spec["scales"], name);
  if (!values.empty() || scale.logarithmic) along["domain"] = domain_of(values, scale.logarithmic);
  if (scale.logarithmic) {
    along["type"] = "log";
    along["nice"] = false;
  }
  for (json& axis : spec["axes"]) {
    if (axis["scale"] != name) continue;
    axis["title"] = scale.title;
    double most = 0;
    for (const double value : values) most = std::max(most, std::isfinite(value) ? std::abs(value) : 0);
    if (most > 0 && (most < kTinyTick || most >= kHugeTick)) axis["format"] = "~g";
    if (!scale.logarithmic) continue;
    axis["values"] = decade_ticks(along["domain"][0].get<double>(), along["domain"][1].get<double>());
    axis["format"] = "~g";
  }
}

bool drawable(double value, const Scale& scale) {
  return std::isfinite(value) && (!scale.logarithmic || value > 0);
}

/// Calls `use(x, y)` for at most about `most` points that can be drawn, the last of them all.
template <class Use>
void for_drawn(const Series::Points& points, std::size_t most, const Scale& x, const Scale& y, Use use) {
  const std::size_t stride = (points.size() + most - 1) / most;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const auto& [at, value] = points[i];
    if (i % stride != 0 && i + 1 != points.size()) continue;
    if (drawable(at, x) && drawable(value, y)) use(at, value);
  }
}

template <class Item, class Of>
json strings_of(const std::vector<Item>& items, Of of) {
  json list = json::array();
  for (const Item& item : items) list.push_back(of(item));
  return list;
}

json ordinal_legend(const std::string& scale, const std::string& title) {
  return {{scale == "colour" ? "fill" : "shape", scale},
          {"title", title},
          {"orient", "bottom"},
          {"direction", "horizontal"},
          {"columns", {{"signal", "max(1, floor(page / 150))"}}},
          {"labelLimit", 140},
          {"offset", 8}};
}

}  // namespace

bool wants_logarithm(const std::vector<Series>& series) {
  double low = std::numeric_limits<double>::infinity();
  double high = 0;
  bool positive = true;
  const auto look = [&](const Series::Points& points) {
    for (const auto& [x, y] : points) {
      if (!std::isfinite(y)) continue;
      positive = positive && y > 0;
      low = std::min(low, y);
      high = std::max(high, y);
    }
  };
  for (const Series& one : series) {
    look(one.points);
    for (const Series::Points& thin : one.thin) look(thin);
  }
  return positive && high > kWorthLogarithm * low;
}

json line_chart(const std::vector<Series>& series, const Scale& x, const Scale& y) {
  json spec = chart("line");
  json values = json::array();
  json thin = json::array();
  std::vector<double> ys;
  for (const Series& one : series) {
    for (std::size_t line = 0; line < one.thin.size(); ++line) {
      for_drawn(one.thin[line], kThinPoints, x, y, [&](double at, double value) {
        ys.push_back(value);
        thin.push_back({{"x", at}, {"y", value}, {"series", one.name}, {"line", line}});
      });
    }
    for_drawn(one.points, kDrawnPoints, x, y, [&](double at, double value) {
      ys.push_back(value);
      values.push_back({{"x", at},
                        {"y", value},
                        {"series", one.name},
                        {"dot", one.points.size() <= kDotted ? 1 : 0},
                        {"tip", fmt::format("{}: {} at {}", one.name, number_text(value), number_text(at))}});
    });
  }
  set_axis(spec, "x", x, {});
  set_axis(spec, "y", y, ys);
  named(spec["data"], "points")["values"] = values;
  named(spec["data"], "thin")["values"] = thin;
  if (series.size() < 2) spec.erase("legends");
  return spec;
}

json decade_bars(const std::vector<Bar>& bars, std::optional<double> never_at, const Scale& x,
                 const Scale& y) {
  json spec = chart("bars");
  set_axis(spec, "x", x, {});
  set_axis(spec, "y", y, {});
  json values = json::array();
  double low = 0;
  double high = 0;
  for (const Bar& bar : bars) {
    values.push_back({{"from", bar.from},
                      {"to", bar.to},
                      {"y", bar.height},
                      {"kind", bar.never ? "never" : "fires"},
                      {"tip", bar.tip}});
    low = std::min(low, bar.from);
    high = std::max(high, bar.to);
  }
  named(spec["data"], "bars")["values"] = values;
  named(spec["scales"], "x")["domain"] = {low, high};
  json ticks = json::array();
  if (never_at) ticks.push_back(*never_at);
  for (double tick = std::ceil(never_at ? *never_at + kBesideNever : low); tick <= high; ++tick)
    ticks.push_back(tick);
  json& axis = spec["axes"][1];
  axis["values"] = ticks;
  const std::string powers =
      "['1', '10⁻¹', '10⁻²', '10⁻³', '10⁻⁴', '10⁻⁵', '10⁻⁶', '10⁻⁷', '10⁻⁸'][-datum.value]";
  axis["encode"]["labels"]["update"]["text"]["signal"] =
      never_at ? fmt::format("datum.value == {} ? 'never' : {}", *never_at, powers) : powers;
  return spec;
}

json heat_map(const HeatMapCells& cells, const Scale& x, const Scale& y) {
  json spec = chart("heat_map");
  set_axis(spec, "x", x, {});
  set_axis(spec, "y", y, {});
  named(spec["scales"], "x")["domain"] = cells.columns;
  named(spec["scales"], "y")["domain"] = cells.rows;
  json values = json::array();
  for (std::size_t i = 0; i < cells.values.size(); ++i) {
    // Three digits are what a colour can show.
    values.push_back({{"x", cells.columns[i % cells.columns.size()]},
                      {"y", cells.rows[i / cells.columns.size()]},
                      {"v", std::round(cells.values[i] * 1000) / 1000}});
  }
  named(spec["data"], "cells")["values"] = values;
  const auto rows = static_cast<double>(cells.rows.size());
  const auto columns = static_cast<double>(std::max<std::size_t>(cells.columns.size(), 1));
  const double cell = std::clamp(400 / std::max(rows, columns), 7.0, 26.0);
  spec["height"] = rows * cell;
  spec["usermeta"] = {{"widest", std::min(kWidestSquare, std::max(columns * cell + 90, 300.0))}};
  return spec;
}

json map_chart(const std::vector<MapPoint>& points, const Scale& x, const Scale& y,
               const std::string& colour_title, double low, double high) {
  json spec = chart("map");
  json values = json::array();
  std::vector<double> xs;
  std::vector<double> ys;
  const auto short_number = [](double number) { return json::parse(fmt::format("{:.4g}", number)); };
  for (const MapPoint& point : points) {
    if (!std::isfinite(point.x) || !std::isfinite(point.y) || !std::isfinite(point.value)) continue;
    xs.push_back(point.x);
    ys.push_back(point.y);
    values.push_back({{"x", short_number(point.x)},
                      {"y", short_number(point.y)},
                      {"v", short_number(std::max(point.value, low))},
                      {"tip", point.tip}});
  }
  named(spec["data"], "points")["values"] = values;
  set_axis(spec, "x", x, xs);
  set_axis(spec, "y", y, ys);
  named(spec["scales"], "colour")["domain"] = {low, high};
  spec["legends"][0]["title"] = colour_title;
  spec["legends"][0]["values"] = {short_number(low), short_number(std::sqrt(low * high)), short_number(high)};
  return spec;
}

json trade_off_chart(const TradeOff& data, const Scale& x, const Scale& y) {
  json spec = chart("trade_off");
  json values = json::array();
  std::vector<double> xs;
  std::vector<double> ys;
  const bool named_here = data.points.size() <= kNamedPoints && data.colour_title.empty();
  for (const TradeOffPoint& point : data.points) {
    if (!drawable(point.x, x) || !drawable(point.y, y)) continue;
    // A bar that reaches below zero has no end on a logarithmic scale: it stops at a tenth of its middle.
    const auto low = [](double middle, double spread, bool logarithmic) {
      return logarithmic ? std::max(middle - spread, middle / 10) : middle - spread;
    };
    const double x_low = low(point.x, point.x_spread, x.logarithmic);
    const double y_low = low(point.y, point.y_spread, y.logarithmic);
    xs.insert(xs.end(), {x_low, point.x + point.x_spread});
    ys.insert(ys.end(), {y_low, point.y + point.y_spread});
    values.push_back({{"name", named_here ? point.name : ""},
                      {"colour", point.colour},
                      {"shape", point.shape},
                      {"x", point.x},
                      {"y", point.y},
                      {"x_low", x_low},
                      {"x_high", point.x + point.x_spread},
                      {"y_low", y_low},
                      {"y_high", point.y + point.y_spread},
                      {"tip", fmt::format("{}: {} {}, {} {}", point.name, x.title, number_text(point.x),
                                          y.title, number_text(point.y))}});
  }
  named(spec["data"], "points")["values"] = values;
  set_axis(spec, "x", x, xs);
  set_axis(spec, "y", y, ys);
  for (const auto& [at, value] : data.front)
    named(spec["data"], "front")["values"].push_back({{"x", at}, {"y", value}});
  named(spec["scales"], "colour")["domain"] = data.colours;
  named(spec["scales"], "shape")["domain"] = data.shapes;
  if (!data.colour_title.empty()) spec["legends"].push_back(ordinal_legend("colour", data.colour_title));
  if (!data.shape_title.empty()) spec["legends"].push_back(ordinal_legend("shape", data.shape_title));
  return spec;
}

json dot_chart(const std::vector<Dot>& dots, const Scale& x) {
  json spec = chart("dots");
  json means = json::array();
  json seeds = json::array();
  json base = json::array();
  std::vector<double> all;
  for (const Dot& dot : dots) {
    if (!std::isfinite(dot.mean)) continue;
    means.push_back(
        {{"name", dot.name},
         {"x", dot.mean},
         {"low", dot.mean - dot.spread},
         {"high", dot.mean + dot.spread},
         {"kind", dot.kind},
         {"tip", fmt::format("{}: {} ± {}", dot.name, number_text(dot.mean), number_text(dot.spread))}});
    all.insert(all.end(), {dot.mean - dot.spread, dot.mean + dot.spread});
    for (const double value : dot.values) {
      seeds.push_back({{"name", dot.name}, {"x", value}});
      all.push_back(value);
    }
    if (dot.kind == "base") base.push_back({{"x", dot.mean}});
  }
  named(spec["data"], "points")["values"] = means;
  named(spec["data"], "seeds")["values"] = seeds;
  named(spec["data"], "base")["values"] = base;
  set_axis(spec, "x", x, all);
  named(spec["scales"], "y")["domain"] = strings_of(dots, [](const Dot& dot) { return dot.name; });
  spec["height"] = 20 * static_cast<double>(dots.size()) + 10;
  return spec;
}

}  // namespace regulon::core::report
