/// What a study found, drawn.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <tuple>

#include "core/report/charts.h"
#include "core/report/study_page.h"
#include "core/report/words.h"
#include "core/study/headline.h"

namespace regulon::core::report {
namespace {

constexpr const char* kError = "fvu";  ///< measures of the trade-off
constexpr const char* kDensity = "l0";
constexpr std::size_t kNamesTold = 6;      ///< of a list in a caption
constexpr std::size_t kLegendChoices = 8;  ///< more colours would not be told apart
constexpr std::size_t kMostDots = 60;      ///< lines of a dot plot
constexpr double kRatioOfLogarithm = 8;

/// Measures that are drawn beside the main ones.
constexpr HeadlineMeasure kMoreDrawn[] = {
    {"code_length", "code length", "nats a row to name its active features"},
    {"cosine", "cosine", "mean of cos(x, x̂)"},
    {"norm_ratio", "norm ratio", "mean of |x̂| / |x|"},
    {"relative_bias", "relative bias", "E|x̂|² / E⟨x, x̂⟩"},
    {"unused_share", "unused", "features active on no held-out row, share"}};

/// "a, b, c and 4 more".
std::string names_text(const std::vector<std::string>& names) {
  const auto told = static_cast<std::ptrdiff_t>(std::min(names.size(), kNamesTold));
  std::string text = fmt::format("{}", fmt::join(names.begin(), names.begin() + told, ", "));
  if (names.size() > kNamesTold) text += fmt::format(" and {} more", names.size() - kNamesTold);
  return text;
}

/// Axes with more than one choice.
std::vector<std::size_t> varied_axes(const StudyRecord& study) {
  std::vector<std::size_t> varied;
  for (std::size_t axis = 0; axis < study.axes.size(); ++axis) {
    if (study.choices[axis].size() > 1) varied.push_back(axis);
  }
  return varied;
}

/// Says which axes give colours and shapes, the first two that vary: all points of a chart have a name of
/// their own only if they are few.
struct Looks {
  std::optional<std::size_t> colour_axis;
  std::optional<std::size_t> shape_axis;
};

Looks looks_of(const StudyRecord& study) {
  Looks looks;
  const std::vector<std::size_t> varied = varied_axes(study);
  if (!varied.empty() && study.choices[varied[0]].size() <= kLegendChoices) looks.colour_axis = varied[0];
  if (varied.size() > 1 && study.choices[varied[1]].size() <= kLegendChoices) looks.shape_axis = varied[1];
  return looks;
}

/// The legends that the looks need.
void add_legends(const StudyRecord& study, const Looks& looks, TradeOff& data) {
  data.colours = looks.colour_axis ? study.choices[*looks.colour_axis] : std::vector<std::string>{""};
  data.shapes = looks.shape_axis ? study.choices[*looks.shape_axis] : std::vector<std::string>{""};
  if (looks.shape_axis) data.shape_title = study.axes[*looks.shape_axis];
  if (looks.colour_axis && (looks.shape_axis || data.points.size() > kNamedPoints))
    data.colour_title = study.axes[*looks.colour_axis];
}

/// Points that no other beats in both, the sparsest first.
std::vector<TradeOffPoint> front_of(const std::vector<TradeOffPoint>& points) {
  std::vector<TradeOffPoint> front;
  for (const TradeOffPoint& point : points) {
    const bool beaten = std::any_of(points.begin(), points.end(), [&](const TradeOffPoint& other) {
      return other.x <= point.x && other.y <= point.y && (other.x < point.x || other.y < point.y);
    });
    if (!beaten) front.push_back(point);
  }
  std::sort(front.begin(), front.end(), [](const auto& a, const auto& b) { return a.x < b.x; });
  return front;
}

/// Pairs of points whose bars overlap both ways.
std::size_t overlaps_of(const std::vector<TradeOffPoint>& points) {
  std::size_t overlaps = 0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    for (std::size_t j = i + 1; j < points.size(); ++j) {
      const auto& [a, b] = std::tie(points[i], points[j]);
      overlaps +=
          std::abs(a.x - b.x) <= a.x_spread + b.x_spread && std::abs(a.y - b.y) <= a.y_spread + b.y_spread;
    }
  }
  return overlaps;
}

std::string trade_off_caption(const std::vector<TradeOffPoint>& points) {
  if (points.size() == 1)
    return "One point: there is nothing to trade off. Lower and further left is better.";
  std::string text = "Lower and further left is better. ";
  std::vector<std::string> front;
  for (const TradeOffPoint& point : front_of(points)) front.push_back(point.name);
  text += fmt::format("By their means, {} beaten by no other point in both (the dashed line): {}.",
                      front.size() == 1 ? "one is" : fmt::format("{} of {} are", front.size(), points.size()),
                      names_text(front));
  const std::size_t overlaps = overlaps_of(points);
  if (overlaps > 0)
    text += fmt::format(" {} of points cannot be told apart: their bars (± one standard deviation) overlap.",
                        count_text(overlaps, "pair"));
  return text;
}

Table trade_off_table(const std::vector<TradeOffPoint>& points) {
  Table table{"The numbers", {{"point", ""}, {"L0", "number"}, {"FVU", "number"}}, {}, "", true, {}};
  for (const TradeOffPoint& point : points) {
    table.rows.push_back({{point.name, "name"},
                          {fmt::format("{} ± {:.2g}", number_text(point.x), point.x_spread), "number"},
                          {fmt::format("{} ± {:.2g}", number_text(point.y), point.y_spread), "number"}});
  }
  return table;
}

bool spans_decades(const std::vector<TradeOffPoint>& points, double TradeOffPoint::*value) {
  double low = INFINITY;
  double high = 0;
  for (const TradeOffPoint& point : points) {
    low = std::min(low, point.*value);
    high = std::max(high, point.*value);
  }
  return low > 0 && high > kRatioOfLogarithm * low;
}

std::string kind_of(const PointMeasure& measure, bool is_base) {
  if (is_base) return "base";
  if (!measure.difference || verdict_of(*measure.difference) == Verdict::open) return "none";
  return measure.difference->mean < 0 ? "lower" : "higher";
}

/// What the differences of one measure come to.
std::string differences_text(const StudyRecord& study, const std::string& measure) {
  std::vector<std::string> lower;
  std::vector<std::string> higher;
  std::vector<std::string> open;
  std::vector<std::string> single;  // one seed has no interval
  bool few = false;
  for (std::size_t i = 1; i < study.points.size(); ++i) {
    const auto found = study.points[i].measures.find(measure);
    if (found == study.points[i].measures.end() || !found->second.difference) continue;
    const std::string kind = kind_of(found->second, false);
    auto& names = !found->second.difference->low ? single
                  : kind == "lower"              ? lower
                  : kind == "higher"             ? higher
                                                 : open;
    names.push_back(short_name(study.points[i]));
    few = few || (kind != "none" && found->second.difference->n < kEnoughPairs);
  }
  const std::string base = short_name(study.points.front());
  std::string text;
  const auto tell = [&](const std::string& what, const std::vector<std::string>& names) {
    if (!names.empty()) text += fmt::format("{}: {}. ", what, names_text(names));
  };
  tell("Lower than " + base, lower);
  tell("Higher than " + base, higher);
  tell("No difference from " + base + " seen", open);
  tell("One seed in common with " + base + ", which cannot tell a difference from chance", single);
  if (few) text += fmt::format("With fewer than {} seeds these are hints, not findings. ", kEnoughPairs);
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

Table dot_table(const std::vector<Dot>& dots) {
  Table table{
      "The numbers", {{"point", ""}, {"mean ± std", "number"}, {"seeds", "number"}}, {}, "", true, {}};
  for (const Dot& dot : dots) {
    table.rows.push_back({{dot.name, "name"},
                          {fmt::format("{} ± {:.2g}", number_text(dot.mean), dot.spread), "number"},
                          {std::to_string(dot.values.size()), "number"}});
  }
  return table;
}

/// A dot plot of one measure; none if it is the same everywhere.
std::optional<Figure> dot_figure(const StudyRecord& study, const MeasureName& name) {
  std::vector<Dot> dots;
  bool varies = false;
  for (std::size_t i = 0; i < std::min(study.points.size(), kMostDots); ++i) {
    const StudyPoint& point = study.points[i];
    const auto found = point.measures.find(name.measure);
    if (found == point.measures.end()) continue;
    const Spread& spread = found->second.spread;
    dots.push_back({short_name(point), spread.mean, spread.std.value_or(0),
                    study.values(point.label, name.measure), kind_of(found->second, i == 0)});
    varies = varies || spread.min != dots.front().mean || spread.max != dots.front().mean;
  }
  if (dots.empty() || !varies) return std::nullopt;
  Figure figure;
  figure.title = name.title;
  figure.title[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(figure.title[0])));
  figure.spec = dot_chart(dots, {name.axis, false});
  figure.caption = differences_text(study, name.measure);
  if (study.points.size() > kMostDots)
    figure.caption += fmt::format(" The first {} of {} points are drawn.", kMostDots, study.points.size());
  figure.numbers = dot_table(dots);
  return figure;
}

}  // namespace

std::string short_name(const StudyPoint& point) {
  return point.choices.empty() ? point.label : fmt::format("{}", fmt::join(point.choices, " · "));
}

Section trade_off_section(const StudyRecord& study) {
  Section section{"Trade-off", {}, {}, {}, {}};
  TradeOff data;
  const Looks looks = looks_of(study);
  for (const StudyPoint& point : study.points) {
    const auto fvu = point.measures.find(kError);
    const auto l0 = point.measures.find(kDensity);
    if (fvu == point.measures.end() || l0 == point.measures.end()) continue;
    data.points.push_back({short_name(point), looks.colour_axis ? point.choices[*looks.colour_axis] : "",
                           looks.shape_axis ? point.choices[*looks.shape_axis] : "", l0->second.spread.mean,
                           l0->second.spread.std.value_or(0), fvu->second.spread.mean,
                           fvu->second.spread.std.value_or(0)});
  }
  add_legends(study, looks, data);
  for (const TradeOffPoint& point : front_of(data.points)) data.front.emplace_back(point.x, point.y);
  const bool x_log = spans_decades(data.points, &TradeOffPoint::x);
  const bool y_log = spans_decades(data.points, &TradeOffPoint::y);
  Figure figure;
  figure.title = "Reconstruction against sparsity";
  figure.spec = trade_off_chart(
      data, {x_log ? "L0, active features a row, logarithmic" : "L0, active features a row", x_log},
      {y_log ? "FVU, share unexplained, logarithmic" : "FVU, share of the variance unexplained", y_log});
  figure.caption = trade_off_caption(data.points);
  figure.numbers = trade_off_table(data.points);
  figure.shape = "wide";
  section.figures.push_back(std::move(figure));
  return section;
}

Section measures_section(const StudyRecord& study) {
  Section section{"Measures", {}, {}, {}, {}};
  section.text.emplace_back(
      "Small dots are seeds, large marks their mean with a bar of ± one standard deviation; the dashed line "
      "is the "
      "base. Marks that point left or right differ from the base: the interval of the difference, seed by "
      "seed, "
      "leaves zero out.");
  std::vector<MeasureName> names = main_measures(study);
  for (const HeadlineMeasure& more : kMoreDrawn) names.push_back({more.measure, more.title, more.axis});
  std::vector<std::string> same;
  for (const MeasureName& name : names) {
    if (auto figure = dot_figure(study, name)) {
      section.figures.push_back(std::move(*figure));
    } else if (!study.points.empty() && study.points.front().measures.count(name.measure) != 0) {
      same.push_back(name.title);
    }
  }
  if (!same.empty())
    section.text.push_back(fmt::format("The same in every run, and not drawn: {}.", fmt::join(same, ", ")));
  return section;
}

}  // namespace regulon::core::report
