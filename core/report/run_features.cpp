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

double cosine_of(const Measured::Known& known, std::int64_t learnt, std::size_t truth) {
  return static_cast<double>(known.cosines[static_cast<std::size_t>(learnt) * known.truths + truth]);
}

/// For each true feature the alive learnt one that is nearest; -1 if none is alive.
std::vector<std::int64_t> nearest_alive(const Measured::Known& known) {
  std::vector<std::int64_t> nearest(known.truths, -1);
  for (std::size_t t = 0; t < known.truths; ++t) {
    for (const std::int64_t i : known.alive) {
      if (nearest[t] < 0 || cosine_of(known, i, t) > cosine_of(known, nearest[t], t)) nearest[t] = i;
    }
  }
  return nearest;
}

std::string known_caption(const Measured::Known& known) {
  const std::size_t found = known.found.size();
  std::string text =
      fmt::format("{} of {} true features are found (cosine of at least 0.95). ", found, known.truths);
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

Table nearest_table(const Measured::Known& known, const std::vector<std::int64_t>& nearest) {
  Table table{"The numbers",
              {{"true", "number"}, {"learnt", "number"}, {"cosine", "number"}, {"", ""}},
              {},
              "Each true feature and the learnt direction nearest to it.",
              true,
              {}};
  const std::set<std::int64_t> found(known.found.begin(), known.found.end());
  for (std::size_t t = 0; t < known.truths; ++t) {
    const std::int64_t id = nearest[t];
    const bool is_found = found.count(static_cast<std::int64_t>(t)) != 0;
    table.rows.push_back({{std::to_string(t), "number"},
                          {id < 0 ? "none" : learnt_name(known, id), "number"},
                          {id < 0 ? "-" : number_text(cosine_of(known, id, t)), "number"},
                          {is_found ? "found" : "missed", ""}});
  }
  return table;
}

/// Which rows and columns a heat map of a bearable size has.
struct Cut {
  std::vector<std::int64_t> learnt;
  std::vector<std::size_t> truths;
  std::string note;
};

Cut cut_of(const Measured::Known& known, const std::vector<std::int64_t>& nearest) {
  Cut cut{known.order, std::vector<std::size_t>(known.truths), ""};
  std::iota(cut.truths.begin(), cut.truths.end(), std::size_t{0});
  if (known.order.size() * known.truths <= kMostCells && known.truths <= kMostTruths) return cut;
  const auto best = [&](std::size_t t) { return nearest[t] < 0 ? 0 : cosine_of(known, nearest[t], t); };
  if (known.truths > kMostTruths) {
    std::sort(cut.truths.begin(), cut.truths.end(),
              [&](std::size_t a, std::size_t b) { return best(a) < best(b); });
    cut.truths.resize(kMostTruths);
    cut.note = fmt::format(
        " Shown are the {} true features that are matched worst, with the learnt direction nearest to each.",
        kMostTruths);
  } else {
    cut.note = " Shown is, for each true feature, the learnt direction nearest to it.";
  }
  cut.learnt.clear();
  for (const std::size_t t : cut.truths) {
    const bool there = std::find(cut.learnt.begin(), cut.learnt.end(), nearest[t]) != cut.learnt.end();
    if (nearest[t] >= 0 && !there) cut.learnt.push_back(nearest[t]);
  }
  return cut;
}

}  // namespace

Figure known_figure(const Measured::Known& known, const std::string& title) {
  const std::vector<std::int64_t> nearest = nearest_alive(known);
  const Cut cut = cut_of(known, nearest);
  HeatMapCells cells;
  for (const std::size_t t : cut.truths) cells.columns.push_back(std::to_string(t));
  for (const std::int64_t id : cut.learnt) {
    cells.rows.push_back(learnt_name(known, id));
    for (const std::size_t t : cut.truths) cells.values.push_back(cosine_of(known, id, t));
  }
  Figure figure;
  figure.title = title;
  figure.spec = heat_map(cells, {"true feature", false}, {"learnt feature", false});
  figure.caption = known_caption(known) + cut.note;
  figure.numbers = nearest_table(known, nearest);
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
  if (!measured.why_no_drops.empty()) {
    section.text.push_back(fmt::format("What codes are worth was not measured{}: {}",
                                       measured.drops.empty() ? "" : " in full", measured.why_no_drops));
  }
  if (auto figure = drop_figure(measured)) section.figures.push_back(std::move(*figure));
  if (measured.known)
    section.figures.push_back(known_figure(*measured.known, "Learnt against true features"));
  if (section.figures.empty() && section.text.empty())
    section.text.emplace_back("No rows are held out: there is nothing to measure the features on.");
  return section;
}

}  // namespace regulon::core::report
