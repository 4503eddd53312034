/// What features a run has: how often they fire, and which true ones they are.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "core/report/charts.h"
#include "core/report/run_page.h"
#include "core/report/words.h"

namespace regulon::core::report {
namespace {

using nlohmann::json;

constexpr double kBinsPerDecade = 4;
constexpr double kNeverWidth = 0.25;      ///< of the bar for features that never fire, in decades
constexpr std::size_t kMostCells = 6000;  ///< of a heat map that shows everything
constexpr std::size_t kMostTruths = 80;   ///< columns of a heat map
constexpr double kDense = 0.1;

Table bar_table(const std::vector<Bar>& bars) {
  Table table{"The numbers", {{"share of rows", ""}, {"features", "number"}}, {}, "", true, {}};
  for (const Bar& bar : bars) {
    table.rows.push_back({{bar.never ? "never"
                                     : fmt::format("{} to {}", number_text(std::pow(10, bar.from)),
                                                   number_text(std::pow(10, bar.to))),
                           ""},
                          {number_text(bar.height), "number"}});
  }
  return table;
}

Figure frequency_figure(const std::vector<Bar>& bars, double never_at, const std::string& caption) {
  Figure figure;
  figure.title = "How often features fire";
  figure.spec = decade_bars(bars, never_at, {"share of the held-out rows on which a feature fires", false},
                            {"features", false});
  figure.caption = caption;
  figure.numbers = bar_table(bars);
  return figure;
}

std::string bar_tip(double from, double to, std::int64_t count) {
  return fmt::format("{} features fire on {} to {} of the rows", count, share_text(std::pow(10, from)),
                     share_text(std::pow(10, to)));
}

std::string frequency_caption(const Measured& measured, std::vector<double> alive) {
  const std::size_t n = measured.frequency.size();
  const auto part = [n](std::size_t count) {
    return share_text(static_cast<double>(count) / static_cast<double>(n));
  };
  const std::size_t silent = n - alive.size();
  std::string text = silent == 0
                         ? fmt::format("All {} features fire on some of {} held-out rows", n, measured.rows)
                         : fmt::format("{} of {} features ({}) never fire on {} held-out rows", silent, n,
                                       part(silent), measured.rows);
  if (alive.empty()) return text + ".";
  std::sort(alive.begin(), alive.end());
  const auto dense = static_cast<std::size_t>(
      std::count_if(alive.begin(), alive.end(), [](double frequency) { return frequency > kDense; }));
  text += fmt::format("; the median of those that fire does on {}.", share_text(alive[alive.size() / 2]));
  if (dense == 0) return text + " None fires on more than a tenth of the rows.";
  text += fmt::format(" {} ({}) fire on more than a tenth of the rows{}.", dense, part(dense),
                      measured.known ? "" : ": such dense features seldom stand for one thing");
  return text;
}

Figure measured_frequencies(const Measured& measured) {
  std::vector<double> alive;
  for (const double frequency : measured.frequency) {
    if (frequency > 0) alive.push_back(frequency);
  }
  const double floor = std::floor(kBinsPerDecade * std::log10(1.0 / static_cast<double>(measured.rows)));
  const auto bins = static_cast<std::size_t>(-floor);
  std::vector<std::int64_t> counts(std::max<std::size_t>(bins, 1), 0);
  for (const double frequency : alive) {
    const double bin = std::floor(kBinsPerDecade * std::log10(frequency)) - floor;
    ++counts[std::min(static_cast<std::size_t>(std::max(bin, 0.0)), counts.size() - 1)];
  }
  const double left = floor / kBinsPerDecade;
  const double never_at = left - 2 * kNeverWidth;
  std::vector<Bar> bars = {{never_at - kNeverWidth / 2, never_at + kNeverWidth / 2,
                            static_cast<double>(measured.frequency.size() - alive.size()), true,
                            fmt::format("{} features never fire", measured.frequency.size() - alive.size())}};
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double from = left + static_cast<double>(i) / kBinsPerDecade;
    const double to = from + 1 / kBinsPerDecade;
    bars.push_back({from, to, static_cast<double>(counts[i]), false, bar_tip(from, to, counts[i])});
  }
  return frequency_figure(bars, never_at, frequency_caption(measured, alive));
}

/// The summary's histogram by decades, for runs that cannot be measured again.
std::optional<Figure> summary_frequencies(const RunRecord& run) {
  constexpr std::array<std::pair<const char*, double>, 5> kDecades = {
      {{"below_1e-4", -5}, {"below_1e-3", -4}, {"below_1e-2", -3}, {"below_1e-1", -2}, {"above", -1}}};
  const double features = run.config_number("model.features").value_or(0);
  const auto unused = RunRecord::number(run.summary, "held_out.frequency.unused");
  if (!unused || features <= 0) return std::nullopt;
  constexpr double kNeverAt = -5.5;
  std::vector<Bar> bars = {{kNeverAt - kNeverWidth / 2, kNeverAt + kNeverWidth / 2,
                            std::round(*unused * features), true,
                            fmt::format("{} of the features never fire", share_text(*unused))}};
  for (const auto& [name, from] : kDecades) {
    const double share =
        RunRecord::number(run.summary, std::string("held_out.frequency.") + name).value_or(0);
    const double count = std::round(share * features);
    bars.push_back({from, from + 1, count, false, bar_tip(from, from + 1, std::llround(count))});
  }
  const double dense = bars.back().height / features;
  return frequency_figure(
      bars, kNeverAt,
      fmt::format(
          "By decades, from the run's summary: {} of the features never fire on the held-out rows, {} "
          "on more than a tenth of them.",
          share_text(*unused), share_text(dense)));
}

std::string known_caption(const Measured::Known& known) {
  const std::size_t found = known.found.size();
  std::string text =
      fmt::format("{} of {} true features are found (cosine of at least 0.95). ", found, known.best.size());
  if (known.composed.empty()) {
    text += "No alive direction combines several.";
  } else {
    text += fmt::format("{} of {} alive directions (marked +) combine several true features.",
                        known.composed.size(), known.alive.size());
  }
  const std::size_t silent = known.order.size() - known.alive.size();
  if (silent > 0) text += fmt::format(" {} (marked ×) never fire and do not count.", silent);
  return text;
}

std::string learnt_name(const Measured::Known& known, std::int64_t id) {
  const auto has = [id](const std::vector<std::int64_t>& ids) {
    return std::find(ids.begin(), ids.end(), id) != ids.end();
  };
  if (has(known.composed)) return fmt::format("{} +", id);
  return has(known.alive) ? std::to_string(id) : fmt::format("{} ×", id);
}

/// Whether all cells are drawn.
bool draws_all(const Measured::Known& known) {
  return known.drawn_truths.size() == known.best.size() && known.drawn.size() == known.order.size();
}

Table nearest_table(const Measured::Known& known) {
  Table table{"The numbers",
              {{"true", "number"}, {"learnt", "number"}, {"cosine", "number"}, {"", ""}},
              {},
              "Each true feature that is drawn and the learnt direction nearest to it.",
              true,
              {}};
  const std::set<std::int64_t> found(known.found.begin(), known.found.end());
  for (const std::int64_t t : known.drawn_truths) {
    const std::int64_t id = known.best[static_cast<std::size_t>(t)];
    const auto cosine = static_cast<double>(known.best_cosine[static_cast<std::size_t>(t)]);
    table.rows.push_back({{std::to_string(t), "number"},
                          {id < 0 ? "none" : learnt_name(known, id), "number"},
                          {id < 0 ? "-" : number_text(cosine), "number"},
                          {found.count(t) != 0 ? "found" : "missed", ""}});
  }
  return table;
}

std::string cut_note(const Measured::Known& known) {
  if (draws_all(known)) return "";
  if (known.drawn_truths.size() == known.best.size())
    return " Shown is, for each true feature, the learnt direction nearest to it.";
  return fmt::format(
      " Shown are the {} true features that are matched worst, with the learnt direction nearest to each.",
      known.drawn_truths.size());
}

}  // namespace

void choose_cells(Measured::Known& known) {
  const std::size_t truths = known.best.size();
  known.drawn_truths.resize(truths);
  std::iota(known.drawn_truths.begin(), known.drawn_truths.end(), std::int64_t{0});
  known.drawn = known.order;
  if (known.order.size() * truths <= kMostCells && truths <= kMostTruths) return;
  if (truths > kMostTruths) {
    const auto best = [&](std::int64_t t) { return known.best_cosine[static_cast<std::size_t>(t)]; };
    std::stable_sort(known.drawn_truths.begin(), known.drawn_truths.end(),
                     [&](std::int64_t a, std::int64_t b) { return best(a) < best(b); });
    known.drawn_truths.resize(kMostTruths);
  }
  known.drawn.clear();
  for (const std::int64_t t : known.drawn_truths) {
    const std::int64_t id = known.best[static_cast<std::size_t>(t)];
    if (id >= 0 && std::find(known.drawn.begin(), known.drawn.end(), id) == known.drawn.end())
      known.drawn.push_back(id);
  }
}

Figure known_figure(const Measured::Known& known, const std::string& title) {
  HeatMapCells cells;
  for (const std::int64_t t : known.drawn_truths) cells.columns.push_back(std::to_string(t));
  for (const std::int64_t id : known.drawn) cells.rows.push_back(learnt_name(known, id));
  cells.values.assign(known.cosines.begin(), known.cosines.end());
  Figure figure;
  figure.title = title;
  figure.spec = heat_map(cells, {"true feature", false}, {"learnt feature", false});
  figure.caption = known_caption(known) + cut_note(known);
  figure.numbers = nearest_table(known);
  figure.shape = "square";
  return figure;
}

Section features_section(const RunRecord& run, const Measured& measured) {
  Section section{"Features", {}, {}, {}, {}};
  if (!measured.why_not.empty()) {
    section.text.push_back("The model was not measured again for this report: " + measured.why_not);
  }
  if (!measured.frequency.empty() && measured.rows > 0) {
    section.figures.push_back(measured_frequencies(measured));
  } else if (const auto figure = summary_frequencies(run)) {
    section.figures.push_back(*figure);
  }
  if (!measured.why_no_more.empty())
    section.text.push_back("Rows and codes were not looked at in full: " + measured.why_no_more);
  if (auto figure = drop_figure(measured)) section.figures.push_back(std::move(*figure));
  if (measured.known)
    section.figures.push_back(known_figure(*measured.known, "Learnt against true features"));
  if (section.figures.empty() && section.text.empty())
    section.text.emplace_back("No rows are held out: there is nothing to measure the features on.");
  if (measured.examples) add_examples(*measured.examples, section);
  return section;
}

}  // namespace regulon::core::report
