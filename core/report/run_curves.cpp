/// How a run went, report by report.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "core/report/charts.h"
#include "core/report/run_page.h"
#include "core/report/words.h"

namespace regulon::core::report {
namespace {

constexpr std::size_t kTableRows = 20;  ///< of a curve, evenly over its steps
constexpr double kAlike = 1.05;         ///< ratio of held-out FVU to a batch's that tells nothing
constexpr double kMuchWorse = 1.25;

std::vector<double> values_of(const Series& series) {
  std::vector<double> values;
  for (const auto& [x, y] : series.points) values.push_back(y);
  return values;
}

/// The series under each other, at up to `kTableRows` steps of the first.
Table curve_table(const std::vector<Series>& series) {
  Table table{"The numbers", {{"step", "number"}}, {}, "", true, {}};
  std::map<double, std::vector<double>> rows;
  for (std::size_t i = 0; i < series.size(); ++i) {
    table.head.push_back({series[i].name, "number"});
    for (const auto& [step, value] : series[i].points) {
      auto& row = rows[step];
      row.resize(series.size(), std::nan(""));
      row[i] = value;
    }
  }
  const std::size_t stride = (rows.size() + kTableRows - 1) / kTableRows;
  std::size_t index = 0;
  for (const auto& [step, values] : rows) {
    const bool shown = index % stride == 0 || index + 1 == rows.size();
    ++index;
    if (!shown) continue;
    std::vector<Cell> cells = {{number_text(step), "number"}};
    for (const double value : values) cells.push_back({number_text(value), "number"});
    table.rows.push_back(std::move(cells));
  }
  if (stride > 1) table.note = fmt::format("Every {}th of {} reports, and the last.", stride, rows.size());
  return table;
}

Figure curve_figure(const std::string& title, const std::vector<Series>& series, const std::string& y_title,
                    const std::string& caption) {
  const bool logarithmic = wants_logarithm(series);
  Figure figure;
  figure.title = title;
  figure.spec = line_chart(series, {"training step", false},
                           {logarithmic ? y_title + ", logarithmic" : y_title, logarithmic});
  figure.caption = caption;
  figure.numbers = curve_table(series);
  return figure;
}

std::string from_to(const Series& series) {
  const std::vector<double> values = values_of(series);
  const bool constant =
      std::all_of(values.begin(), values.end(), [&](double value) { return value == values[0]; });
  if (constant) return fmt::format("{} at every report: it does not move.", number_text(values.front()));
  return fmt::format("From {} to {}; {}.", number_text(values.front()), number_text(values.back()),
                     trend_text(trend_of(values)));
}

/// How rows never trained on are rebuilt beside a batch of the last step.
std::string held_out_text(double held_out, double last) {
  const char* verdict = "no sign of rows learnt by heart.";
  if (held_out > kMuchWorse * last) {
    verdict = "rows never trained on are rebuilt worse.";
  } else if (held_out > kAlike * last) {
    verdict = "rows never trained on may be rebuilt a little worse; one batch is too few to tell.";
  }
  return fmt::format(" Held-out rows have {}, the batch of the last report {}: {}", number_text(held_out),
                     number_text(last), verdict);
}

void add_fvu(const RunRecord& run, Section& section) {
  const Series fvu{"FVU", run.curve("fvu")};
  if (fvu.points.empty()) return;
  std::string caption = from_to(fvu);
  if (const auto held_out = RunRecord::number(run.summary, "held_out.fvu")) {
    caption += held_out_text(*held_out, fvu.points.back().second);
  }
  section.figures.push_back(
      curve_figure("Variance unexplained (FVU)", {fvu}, "FVU, share of the batch's variance", caption));
}

void add_l0(const RunRecord& run, Section& section) {
  const Series l0{"L0", run.curve("l0")};
  if (l0.points.empty()) return;
  section.figures.push_back(
      curve_figure("Active features a row (L0)", {l0}, "L0, active features a row", from_to(l0)));
}

void add_dead(const RunRecord& run, Section& section) {
  const Series dead{"dead share", run.curve("dead_share")};
  if (dead.points.empty()) return;
  const auto after = run.config_number("run.dead_after");
  const std::string meaning =
      after ? fmt::format(
                  " Dead is who was silent for the last {} rows: before so many were seen, none can be.",
                  number_text(*after))
            : "";
  const std::vector<double> shares = values_of(dead);
  if (std::all_of(shares.begin(), shares.end(), [](double share) { return share == 0; })) {
    section.text.push_back("No feature was dead at any report." + meaning);
    return;
  }
  const std::string caption = shares.back() == 0
                                  ? "No feature is dead at the end."
                                  : fmt::format("{} of the features are dead at the end; {}.",
                                                share_text(shares.back()), trend_text(trend_of(shares)));
  section.figures.push_back(
      curve_figure("Dead features", {dead}, "dead features, share of all", caption + meaning));
}

/// (step, part `what` of each term), in the order of the config.
std::vector<Series> term_series(const RunRecord& run, const std::string& what) {
  std::vector<Series> all;
  for (const std::string& name : run.terms()) {
    Series series{name, run.term_curve(name, what)};
    if (!series.points.empty()) all.push_back(std::move(series));
  }
  return all;
}

std::string shares_text(const std::vector<Series>& weighted) {
  double whole = 0;
  for (const Series& term : weighted) whole += std::abs(term.points.back().second);
  if (whole == 0) return "All terms are zero at the end.";
  std::string text = "At the last report";
  for (std::size_t i = 0; i < weighted.size(); ++i) {
    const double last = weighted[i].points.back().second;
    text += fmt::format("{} {} is {} of the loss{}", i == 0 ? "" : ",", weighted[i].name,
                        share_text(std::abs(last) / whole), last < 0 ? " (subtracted)" : "");
  }
  return text + (weighted.size() > 1 ? ", by absolute value." : ".");
}

void add_terms(const RunRecord& run, Section& section) {
  const std::vector<Series> weighted = term_series(run, "weighted");
  const std::vector<Series> raw = term_series(run, "value");
  if (weighted.empty()) return;
  bool differ = false;
  for (std::size_t i = 0; i < weighted.size() && i < raw.size(); ++i)
    differ = differ || weighted[i].points != raw[i].points;
  section.figures.push_back(curve_figure("Loss terms, times their weights", weighted,
                                         "weighted value, units of the loss", shares_text(weighted)));
  if (!differ) return;
  std::string caption = "What each term itself says, whatever its weight:";
  for (std::size_t i = 0; i < raw.size(); ++i) {
    caption +=
        fmt::format("{} {} from {} to {}", i == 0 ? "" : ",", raw[i].name,
                    number_text(raw[i].points.front().second), number_text(raw[i].points.back().second));
  }
  section.figures.push_back(
      curve_figure("Loss terms, before their weights", raw, "value, units of the term", caption + "."));
}

void add_gradient(const RunRecord& run, Section& section) {
  const Series norm{"gradient norm", run.curve("gradient_norm")};
  if (norm.points.empty()) return;
  double most = 0;
  for (const auto& [step, value] : norm.points) most = std::max(most, value);
  const double last = norm.points.back().second;
  const std::string caption = fmt::format("Largest {}, at the end {}; {}.", number_text(most),
                                          number_text(last), trend_text(trend_of(values_of(norm))));
  section.figures.push_back(
      curve_figure("Gradient", {norm}, "norm before clipping, loss per unit of weight", caption));
}

}  // namespace

Section curves_section(const RunRecord& run) {
  Section section{"Training", {}, {}, {}, {}};
  if (run.metrics.empty()) {
    section.text.emplace_back("No report of a training step was written: there are no curves to show.");
    return section;
  }
  section.text.push_back(fmt::format("{} from step {} to {}, each on the batch of its step.",
                                     count_text(run.metrics.size(), "report"),
                                     number_text(*RunRecord::number(run.metrics.front(), "step")),
                                     number_text(*RunRecord::number(run.metrics.back(), "step"))));
  add_fvu(run, section);
  add_l0(run, section);
  add_dead(run, section);
  add_terms(run, section);
  add_gradient(run, section);
  return section;
}

}  // namespace regulon::core::report
