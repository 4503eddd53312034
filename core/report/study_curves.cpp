#include "core/report/study_curves.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <map>

#include "core/report/charts.h"
#include "core/report/study_page.h"
#include "core/report/words.h"

namespace regulon::core::report {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostTerms = 12;     ///< loss terms that are drawn
constexpr std::size_t kStepsInTable = 10;  ///< of a curve's table

using CurveOf = std::function<Series::Points(const RunRecord&)>;

/// The mean over lines at the steps that all of them have.
Series::Points mean_of_lines(const std::vector<Series::Points>& lines) {
  std::map<double, std::pair<double, std::size_t>> sums;
  for (const Series::Points& line : lines) {
    for (const auto& [step, value] : line) {
      auto& [sum, count] = sums[step];
      sum += value;
      ++count;
    }
  }
  Series::Points mean;
  for (const auto& [step, of] : sums) {
    if (of.second == lines.size()) mean.emplace_back(step, of.first / static_cast<double>(of.second));
  }
  return mean;
}

std::vector<Series> series_of(const std::vector<PointCurves>& points, const CurveOf& curve_of) {
  std::vector<Series> all;
  for (const PointCurves& point : points) {
    std::vector<Series::Points> lines;
    for (const RunRecord& run : point.runs) {
      Series::Points line = curve_of(run);
      if (!line.empty()) lines.push_back(std::move(line));
    }
    if (lines.empty()) continue;
    Series series{point.name, mean_of_lines(lines), {}};
    if (series.points.empty()) continue;
    if (lines.size() > 1) {
      lines.resize(std::min(lines.size(), kThinSeeds));
      series.thin = std::move(lines);
    }
    all.push_back(std::move(series));
  }
  return all;
}

/// Which points still move at the end, as far as their curves tell.
std::string moving_text(const std::vector<Series>& series) {
  std::vector<std::string> moving;
  bool known = false;
  for (const Series& one : series) {
    std::vector<double> values;
    for (const auto& [step, value] : one.points) values.push_back(value);
    const Trend::Kind kind = trend_of(values).kind;
    known = known || kind != Trend::Kind::unknown;
    if (kind == Trend::Kind::falling || kind == Trend::Kind::rising) moving.push_back(one.name);
  }
  if (!known) return " There are too few reports to tell whether it still moves.";
  if (moving.empty()) return " It stands still at the end everywhere.";
  return fmt::format(" It still moves at the end of {}: more steps would change the figures.",
                     fmt::join(moving, ", "));
}

std::string ends_text(const std::vector<Series>& series) {
  const auto last = [](const Series& one) { return one.points.back().second; };
  const auto [low, high] = std::minmax_element(
      series.begin(), series.end(), [&](const auto& a, const auto& b) { return last(a) < last(b); });
  if (series.size() == 1 || last(*low) == last(*high))
    return fmt::format("At the end {}{}.", number_text(last(*low)), series.size() == 1 ? "" : " everywhere");
  return fmt::format("At the end {} is lowest ({}) and {} highest ({}).", low->name, number_text(last(*low)),
                     high->name, number_text(last(*high)));
}

Table ends_table(const std::vector<Series>& series) {
  Table table{"The numbers", {{"step", "number"}}, {}, "Means over seeds.", true, {}};
  for (const Series& one : series) table.head.push_back({one.name, "number"});
  const Series::Points& first = series.front().points;
  const std::size_t stride = (first.size() + kStepsInTable - 1) / kStepsInTable;
  for (std::size_t i = 0; i < first.size(); ++i) {
    if ((first.size() - 1 - i) % stride != 0) continue;
    std::vector<Cell> cells = {{number_text(first[i].first), "number"}};
    for (const Series& one : series) {
      const auto found = std::find_if(one.points.begin(), one.points.end(),
                                      [&](const auto& point) { return point.first == first[i].first; });
      cells.push_back({found == one.points.end() ? "" : number_text(found->second), "number"});
    }
    table.rows.push_back(std::move(cells));
  }
  return table;
}

void add_curve(const std::vector<PointCurves>& points, const std::string& title, const std::string& axis,
               const CurveOf& curve_of, Section& section) {
  const std::vector<Series> series = series_of(points, curve_of);
  if (series.empty()) return;
  const bool logarithmic = wants_logarithm(series);
  Figure figure;
  figure.title = title;
  figure.spec = line_chart(series, {"training step", false},
                           {logarithmic ? axis + ", logarithmic" : axis, logarithmic});
  figure.caption = ends_text(series) + moving_text(series);
  figure.numbers = ends_table(series);
  section.figures.push_back(std::move(figure));
}

/// Names of the loss terms of all points, in the order in which configs have them.
std::vector<std::string> all_terms(const std::vector<PointCurves>& points) {
  std::vector<std::string> names;
  for (const PointCurves& point : points) {
    if (point.runs.empty()) continue;
    for (const std::string& name : point.runs.front().terms()) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  return names;
}

/// The base first, then the others from the lowest FVU on.
std::vector<const StudyPoint*> curved_points(const StudyRecord& study) {
  const auto fvu = [](const StudyPoint* point) {
    const auto found = point->measures.find("fvu");
    return found == point->measures.end() ? std::numeric_limits<double>::infinity()
                                          : found->second.spread.mean;
  };
  std::vector<const StudyPoint*> points;
  for (const StudyPoint& point : study.points) points.push_back(&point);
  if (points.size() <= kCurvedPoints) return points;
  std::stable_sort(points.begin() + 1, points.end(),
                   [&](const auto* a, const auto* b) { return fvu(a) < fvu(b); });
  points.resize(kCurvedPoints);
  return points;
}

}  // namespace

std::vector<PointCurves> read_curves(const StudyRecord& study, const fs::path& folder) {
  std::vector<PointCurves> curves;
  for (const StudyPoint* point : curved_points(study)) {
    PointCurves of{short_name(*point), {}};
    for (const StudyRun& run : study.runs) {
      if (run.point != point->label || run.status != "done" || of.runs.size() == kCurvedSeeds) continue;
      of.runs.push_back(read_run_record(StudyPaths{folder}.run(run.name)));
    }
    if (!of.runs.empty()) curves.push_back(std::move(of));
  }
  return curves;
}

Section study_curves_section(const StudyRecord& study, const std::vector<PointCurves>& points) {
  Section section{"Training", {}, {}, {}, {}};
  add_curve(
      points, "Variance unexplained (FVU) by step", "FVU, share of the batch's variance",
      [](const RunRecord& run) { return run.curve("fvu"); }, section);
  add_curve(
      points, "Active features a row (L0) by step", "L0, active features a row",
      [](const RunRecord& run) { return run.curve("l0"); }, section);
  std::vector<std::string> terms = all_terms(points);
  const std::size_t all = terms.size();
  terms.resize(std::min(terms.size(), kMostTerms));
  for (const std::string& name : terms) {
    add_curve(
        points, fmt::format("Loss term {} by step", name), "value before its weight, units of the term",
        [&](const RunRecord& run) { return run.term_curve(name, "value"); }, section);
  }
  if (section.figures.empty()) return section;
  std::string text = fmt::format(
      "Each on the batch of its step: thick lines are means over seeds, thin ones up to {} of the "
      "seeds.",
      kThinSeeds);
  if (study.points.size() > points.size())
    text +=
        fmt::format(" Of {} points the base and those with the lowest FVU are drawn.", study.points.size());
  if (all > terms.size()) text += fmt::format(" Of {} loss terms the first {} are drawn.", all, terms.size());
  section.text.push_back(std::move(text));
  return section;
}

}  // namespace regulon::core::report
