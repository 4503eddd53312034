#pragma once
/// Vega specifications of the kinds of charts that reports have. Numbers that are not finite are left out.

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace regulon::core::report {

/// What is along an axis of a chart: its title with the unit.
struct Scale {
  std::string title;
  bool logarithmic = false;
};

struct Series {
  using Points = std::vector<std::pair<double, double>>;
  std::string name;
  Points points;
  std::vector<Points> thin = {};  ///< lines that `points` are the mean of, drawn thin
};

/// The most points of a series that are drawn; of more, every so many-th and the last.
inline constexpr std::size_t kDrawnPoints = 400;

/// Whether values are all above zero and differ by a factor of more than 20: a logarithmic scale shows them.
bool wants_logarithm(const std::vector<Series>& series);

/// The most points of a thin line.
inline constexpr std::size_t kThinPoints = 60;

/// Lines over a common axis.
nlohmann::json line_chart(const std::vector<Series>& series, const Scale& x, const Scale& y);

/// Decadic logarithms of frequencies, counted.
struct Bar {
  double from = 0;
  double to = 0;
  double height = 0;
  bool never = false;  ///< what never happened, set apart at the left
  std::string tip;
};
/// Bars over powers of ten; `never_at` is where on the axis those stand that never happened.
nlohmann::json decade_bars(const std::vector<Bar>& bars, std::optional<double> never_at, const Scale& x,
                           const Scale& y);

/// Cosines [rows, columns], the first row on top.
struct HeatMapCells {
  std::vector<std::string> rows;
  std::vector<std::string> columns;
  std::vector<double> values;  ///< row by row
};
nlohmann::json heat_map(const HeatMapCells& cells, const Scale& x, const Scale& y);

/// A point of a map, coloured by a value above zero on a logarithmic scale.
struct MapPoint {
  double x = 0;
  double y = 0;
  double value = 0;
  std::string tip;
};
/// `low`, `high`: the values at which the colours end; 0 < low < high.
nlohmann::json map_chart(const std::vector<MapPoint>& points, const Scale& x, const Scale& y,
                         const std::string& colour_title, double low, double high);

/// A point with its spread both ways.
struct TradeOffPoint {
  std::string name;
  std::string colour;  ///< what it is coloured by
  std::string shape;
  double x = 0, x_spread = 0;
  double y = 0, y_spread = 0;
};
struct TradeOff {
  std::vector<TradeOffPoint> points;
  std::string colour_title;  ///< of the legend; empty: no legend
  std::string shape_title;
  std::vector<std::string> colours;  ///< in the legend's order; those of all points, "" included
  std::vector<std::string> shapes;
  std::vector<std::pair<double, double>> front;  ///< joined by a line
};
/// The most points of a trade-off that carry their names; more would cover each other.
inline constexpr std::size_t kNamedPoints = 16;

nlohmann::json trade_off_chart(const TradeOff& data, const Scale& x, const Scale& y);

/// A line of a dot plot: a mean, its spread, and the values that it is the mean of.
struct Dot {
  std::string name;
  double mean = 0;
  double spread = 0;
  std::vector<double> values;
  std::string kind = "none";  ///< "base", "none", "lower", "higher": against the base
};
nlohmann::json dot_chart(const std::vector<Dot>& dots, const Scale& x);

}  // namespace regulon::core::report
