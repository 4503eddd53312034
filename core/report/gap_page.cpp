#include "core/report/gap_page.h"

#include <ATen/TensorOperators.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "core/io/atomic_file.h"
#include "core/report/charts.h"
#include "core/report/page.h"
#include "core/report/words.h"

namespace regulon::core::report {
namespace {

constexpr std::int64_t kTailPoints = 200;

std::string solved_at_text(const GapMethod& method) {
  if (method.k > 0) return fmt::format("k {}", method.k);
  return method.lambda > 0 ? "lambda " + number_text(method.lambda) : "";
}

std::string figure_text(const RowFigure& figure) {
  if (std::isnan(figure.mean)) return "-";
  return number_text(figure.mean) + " ± " + number_text(figure.spread);
}

Table methods_table(const GapReport& report) {
  Table table;
  table.title = "Mean over rows, ± standard deviation";
  for (const char* head :
       {"codes", "solved at", "objective", "FVU", "L0", "distance", "in common", "µs a row"})
    table.head.push_back({head, table.head.size() < 2 ? "" : "number"});
  for (const GapMethod& method : report.methods) {
    std::vector<Cell> row = {{method.name, "name"}, {solved_at_text(method), ""}};
    for (const std::string& text : {figure_text(method.objective), number_text(method.fvu),
                                    figure_text(method.l0), figure_text(method.distance),
                                    figure_text(method.common), number_text(method.seconds_per_row * 1e6)})
      row.push_back({text, "number"});
    table.rows.push_back(std::move(row));
  }
  table.note =
      "Distance is |f_encoder - f| / |f|; in common are features active in both codes over those active in "
      "either.";
  return table;
}

Table numbers_of(const std::vector<std::pair<std::string, RowFigure>>& rows, const std::string& measure) {
  Table table{"The numbers", {{"codes", ""}, {measure, "number"}}, {}, "", true, {}};
  for (const auto& [name, figure] : rows)
    table.rows.push_back({{name, "name"}, {figure_text(figure), "number"}});
  return table;
}

/// What the first method has over the second, in a sentence; both are there.
std::string gap_sentence(const GapReport& report) {
  const GapMethod& encoder = report.methods[0];
  const GapMethod& solver = report.methods[1];
  const double share = encoder.objective.mean / solver.objective.mean - 1;
  if (share <= 0)
    return fmt::format("The encoder's mean objective is no higher than that of {}.", solver.name);
  return fmt::format("The encoder's mean objective is {} above that of {} on the same dictionary.",
                     share_text(share), solver.name);
}

Figure objectives(const GapReport& report) {
  Figure figure;
  figure.title = "Objective";
  std::vector<Dot> dots;
  std::vector<std::pair<std::string, RowFigure>> numbers;
  for (const GapMethod& method : report.methods) {
    Dot dot;
    dot.name = method.name;
    dot.mean = method.objective.mean;
    dot.spread = method.objective.spread;
    dot.kind = dots.empty() ? "base" : "none";
    dots.push_back(dot);
    numbers.emplace_back(method.name, method.objective);
  }
  figure.spec = dot_chart(dots, {"objective of a row, units of the normalised data squared"});
  figure.caption = gap_sentence(report) +
                   " Bars are standard deviations over rows. Pursuits fit by number of features, not by the "
                   "objective.";
  figure.numbers = numbers_of(numbers, "objective");
  return figure;
}

Figure reconstruction(const GapReport& report) {
  Figure figure;
  figure.title = "Reconstruction against sparsity";
  TradeOff data;
  data.colours = {""};
  data.shapes = {""};
  Table numbers{"The numbers", {{"codes", ""}, {"L0", "number"}, {"FVU", "number"}}, {}, "", true, {}};
  const GapMethod* best = &report.methods.front();
  for (const GapMethod& method : report.methods) {
    data.points.push_back({method.name, "", "", method.l0.mean, 0, method.fvu, 0});
    numbers.rows.push_back({{method.name, "name"},
                            {number_text(method.l0.mean), "number"},
                            {number_text(method.fvu), "number"}});
    if (method.fvu < best->fvu) best = &method;
  }
  figure.spec =
      trade_off_chart(data, {"L0, active features a row"}, {"FVU, share of the variance unexplained"});
  figure.caption = fmt::format(
      "The encoder leaves {} of the variance; {} leaves {} with the same dictionary, at an L0 of {} against "
      "{}.",
      share_text(report.methods.front().fvu), best->name, share_text(best->fvu), number_text(best->l0.mean),
      number_text(report.methods.front().l0.mean));
  figure.numbers = std::move(numbers);
  return figure;
}

/// Each method's objectives of rows less the first solver's, from the row that is least above it.
Figure tail(const GapReport& report) {
  Figure figure;
  figure.title = "Row by row";
  const at::Tensor lowest = find_tensor(report.methods[1].rows, "objective");
  const std::int64_t rows = lowest.size(0);
  std::vector<Series> series;
  for (std::size_t i = 0; i < report.methods.size(); ++i) {
    if (i == 1) continue;
    const at::Tensor above =
        std::get<0>((find_tensor(report.methods[i].rows, "objective") - lowest).sort()).contiguous();
    const auto* const values = above.const_data_ptr<double>();
    Series line{report.methods[i].name, {}};
    const std::int64_t points = std::min(rows, kTailPoints);
    for (std::int64_t p = 0; p < points; ++p) {
      const std::int64_t row = points < 2 ? 0 : p * (rows - 1) / (points - 1);
      line.points.emplace_back(static_cast<double>(row + 1) / static_cast<double>(rows), values[row]);
    }
    series.push_back(std::move(line));
  }
  figure.spec =
      line_chart(series, {"share of the rows"},
                 {fmt::format("objective less that of {}, at most so much", report.methods[1].name)});
  const auto& encoder = series.front().points;
  figure.caption =
      fmt::format("Half of the rows are at most {} above, the worst {}: the tail is at the right.",
                  number_text(encoder[encoder.size() / 2].second), number_text(encoder.back().second));
  figure.numbers = {"The numbers",
                    {{"codes", ""}, {"half of the rows", "number"}, {"worst row", "number"}},
                    {},
                    "",
                    true,
                    {}};
  for (const Series& line : series)
    figure.numbers.rows.push_back({{line.name, "name"},
                                   {number_text(line.points[line.points.size() / 2].second), "number"},
                                   {number_text(line.points.back().second), "number"}});
  figure.shape = "wide";
  return figure;
}

}  // namespace

void write_gap_report(const GapReport& report, const std::string& name, const std::filesystem::path& out) {
  Page page;
  page.kind = "gap";
  page.title = name;
  page.lead = fmt::format(
      "What the encoder's codes come to beside those that solvers find on the same dictionary, over {}; "
      "objectives at lambda {}.",
      count_text(static_cast<std::size_t>(report.rows), "row"), number_text(report.lambda));
  Section section{"Amortisation gap", {}, {methods_table(report)}, {}, {}};
  section.figures.push_back(reconstruction(report));
  if (report.methods.size() > 1) {
    section.figures.push_back(objectives(report));
    section.figures.push_back(tail(report));
  }
  page.sections.push_back(std::move(section));
  write_atomically(out, to_html(page));
}

}  // namespace regulon::core::report
