#include "core/cli/study_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "core/study/headline.h"

namespace regulon::cli {
namespace {

constexpr std::size_t kMostPoints = 200;

using Column = core::HeadlineMeasure;
using Row = std::vector<std::string>;

/// Characters of UTF-8, not bytes.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80; }));
}

/// Rows under each other, columns aligned to the left.
std::vector<std::string> aligned(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(rows.front().size(), 0);
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::vector<std::string> lines;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] + 2 - width_of(row[i]), ' ');
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

std::vector<Column> columns_of(const core::StudyResults& results) {
  std::vector<Column> columns;
  for (const Column& column : core::kHeadline) {
    const bool there = std::any_of(results.points.begin(), results.points.end(),
                                   [&](const auto& measures) { return measures.count(column.measure) != 0; });
    if (there) columns.push_back(column);
  }
  return columns;
}

Row point_cells(const core::Study& study, const core::Plan& plan, std::size_t point) {
  Row row;
  for (std::size_t axis = 0; axis < study.axes.size(); ++axis) {
    row.push_back(study.axes[axis].choices[plan.points[point].choices[axis]].label);
  }
  return row;
}

Row head_cells(const core::Study& study, const std::vector<Column>& columns) {
  Row row;
  for (const core::Axis& axis : study.axes) row.push_back(axis.name);
  row.emplace_back("n");
  for (const Column& column : columns) row.emplace_back(column.title);
  return row;
}

std::string mean_cell(const core::PointMeasure& measure) {
  const core::Spread& spread = measure.spread;
  return spread.std ? fmt::format("{:.4g} ±{:.2g}", spread.mean, *spread.std)
                    : fmt::format("{:.4g}", spread.mean);
}

std::string difference_cell(const core::PointMeasure& measure) {
  if (!measure.difference) return "";
  const core::Difference& difference = *measure.difference;
  if (!difference.low || !difference.high) return fmt::format("{:+.3g}", difference.mean);
  const bool clear = core::verdict_of(difference) == core::Verdict::clear;
  return fmt::format("{:+.3g} [{:+.2g}, {:+.2g}]{}", difference.mean, *difference.low, *difference.high,
                     clear ? " *" : "");
}

/// One line a point: the number of seeds, then what `cell` makes of each measure.
template <class Cell>
void add_rows(const core::Study& study, const core::Plan& plan, const core::StudyResults& results,
              const std::vector<Column>& columns, std::size_t first, Cell cell, std::vector<Row>& rows) {
  for (std::size_t point = first; point < std::min(kMostPoints, results.points.size()); ++point) {
    Row row = point_cells(study, plan, point);
    const auto& measures = results.points[point];
    std::int64_t n = 0;
    for (const auto& [name, measure] : measures) n = std::max(n, measure.spread.n);
    row.push_back(fmt::format("{}", n));
    for (const Column& column : columns) {
      const auto measure = measures.find(column.measure);
      row.push_back(measure == measures.end() ? "" : cell(measure->second));
    }
    rows.push_back(std::move(row));
  }
}

void append(std::vector<std::string>& lines, std::vector<std::string> more) {
  lines.insert(lines.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

}  // namespace

std::vector<std::string> table_lines(const core::Study& study, const core::Plan& plan,
                                     const core::StudyResults& results) {
  const auto columns = columns_of(results);
  if (columns.empty()) return {"no run is done: there is nothing to compare yet"};
  std::vector<Row> rows = {head_cells(study, columns)};
  add_rows(study, plan, results, columns, 0, mean_cell, rows);
  std::vector<std::string> lines = {"Mean over n seeds, ± standard deviation", ""};
  append(lines, aligned(rows));
  if (results.points.size() > kMostPoints) {
    lines.push_back(fmt::format("… and {} more points, in results.csv", results.points.size() - kMostPoints));
  }
  if (results.points.size() < 2) return lines;
  rows = {head_cells(study, columns)};
  add_rows(study, plan, results, columns, 1, difference_cell, rows);
  append(lines,
         {"",
          fmt::format(
              "Differences from the first line, same seed, with {:.0f}% interval (bootstrap, stretched to "
              "Student's t)",
              100 * core::kConfidence),
          ""});
  append(lines, aligned(rows));
  append(lines, {"", fmt::format("* the interval leaves zero out. Of fewer than {} seeds none is marked: so "
                                 "few say little about chance.",
                                 core::kEnoughPairs)});
  return lines;
}

}  // namespace regulon::cli
