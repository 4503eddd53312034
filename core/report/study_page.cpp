#include "core/report/study_page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "core/report/run_page.h"
#include "core/report/words.h"
#include "core/study/headline.h"

namespace regulon::core::report {
namespace {

constexpr std::size_t kMostPoints = 300;  ///< lines of a table of points
constexpr std::size_t kMostLines = 3000;  ///< of the table of everything
constexpr std::size_t kMostErrors = 50;   ///< told in full

bool has(const StudyRecord& study, const std::string& measure) {
  return std::any_of(study.points.begin(), study.points.end(),
                     [&](const StudyPoint& point) { return point.measures.count(measure) != 0; });
}

std::int64_t seeds_of(const StudyPoint& point) {
  std::int64_t n = 0;
  for (const auto& [name, measure] : point.measures) n = std::max(n, measure.spread.n);
  return n;
}

std::string axes_text(const StudyRecord& study) {
  if (study.axes.empty()) return "One point, nothing varied";
  std::vector<std::string> parts;
  for (std::size_t axis = 0; axis < study.axes.size(); ++axis)
    parts.push_back(
        fmt::format("{} ({})", study.axes[axis], count_text(study.choices[axis].size(), "choice")));
  return fmt::format("Varied: {}", fmt::join(parts, " × "));
}

std::string seeds_text(const StudyRecord& study) {
  std::set<std::int64_t> seeds;
  for (const StudyRun& run : study.runs) seeds.insert(run.seed);
  return count_text(seeds.size(), "seed");
}

/// The point with the lowest mean of `measure`; null if none has it.
const StudyPoint* lowest(const StudyRecord& study, const std::string& measure) {
  const StudyPoint* best = nullptr;
  for (const StudyPoint& point : study.points) {
    const auto found = point.measures.find(measure);
    if (found == point.measures.end()) continue;
    if (best == nullptr || found->second.spread.mean < best->measures.at(measure).spread.mean) best = &point;
  }
  return best;
}

std::vector<Tile> study_tiles(const StudyRecord& study) {
  std::vector<Tile> tiles = {
      {"runs done", fmt::format("{} of {}", study.count("done"), study.runs.size()),
       fmt::format("{} × {}", count_text(study.points.size(), "point"), seeds_text(study))}};
  const auto add = [&](const char* name, const char* measure, const char* other, const char* other_title) {
    const StudyPoint* point = lowest(study, measure);
    if (point == nullptr) return;
    const auto beside = point->measures.find(other);
    tiles.push_back({name, number_text(point->measures.at(measure).spread.mean),
                     beside == point->measures.end() ? point->label
                                                     : fmt::format("{}, at {} {}", point->label, other_title,
                                                                   number_text(beside->second.spread.mean))});
  };
  add("lowest FVU", "fvu", "l0", "L0");
  add("lowest L0", "l0", "fvu", "FVU");
  return tiles;
}

Section varied_section(const StudyRecord& study) {
  Section section{"What was varied", {}, {}, {}, {}};
  if (study.axes.empty()) {
    section.text.emplace_back("Nothing but the seed.");
    return section;
  }
  Table table{"", {{"axis", ""}, {"base", ""}, {"other choices", ""}}, {}, "", false, {}};
  for (std::size_t axis = 0; axis < study.axes.size(); ++axis) {
    std::vector<std::string> others = study.choices[axis];
    const std::string base = others.empty() ? "" : others.front();
    if (!others.empty()) others.erase(others.begin());
    table.rows.push_back(
        {{study.axes[axis], "name"}, {base, "name"}, {fmt::format("{}", fmt::join(others, ", ")), "long"}});
  }
  table.note = "The base, the first choice of every axis, is what all other points are compared with.";
  section.tables.push_back(std::move(table));
  return section;
}

std::vector<Cell> point_head(const StudyRecord& study, const std::vector<MeasureName>& columns) {
  std::vector<Cell> head;
  for (const std::string& axis : study.axes) head.push_back({axis, ""});
  if (study.axes.empty()) head.push_back({"point", ""});
  head.push_back({"n", "number"});
  for (const MeasureName& column : columns) head.push_back({column.title, "number"});
  return head;
}

std::vector<Cell> point_cells(const StudyPoint& point, std::int64_t n) {
  std::vector<Cell> cells;
  for (const std::string& choice : point.choices) cells.push_back({choice, "name"});
  if (point.choices.empty()) cells.push_back({point.label, "name"});
  cells.push_back({std::to_string(n), "number"});
  return cells;
}

Cell mean_cell_of(const PointMeasure& measure) {
  const Spread& spread = measure.spread;
  return {spread.std ? fmt::format("{} ± {:.2g}", number_text(spread.mean), *spread.std)
                     : number_text(spread.mean),
          "number"};
}

Cell difference_cell_of(const PointMeasure& measure) {
  if (!measure.difference) return {"", "number"};
  const Difference& difference = *measure.difference;
  if (difference.mean == 0 && difference.low == 0.0 && difference.high == 0.0) return {"0", "number"};
  if (!difference.low || !difference.high) return {signed_text(difference.mean), "number"};
  const Verdict verdict = verdict_of(difference);
  const char* mark = verdict == Verdict::clear ? " *" : verdict == Verdict::hint ? " (*)" : "";
  return {
      fmt::format("{:+.3g} [{:+.2g}, {:+.2g}]{}", difference.mean, *difference.low, *difference.high, mark),
      verdict == Verdict::clear  ? "clear"
      : verdict == Verdict::hint ? "hint"
                                 : "number"};
}

template <class CellOf>
Table points_table(const StudyRecord& study, const std::vector<MeasureName>& columns, std::size_t first,
                   CellOf cell_of) {
  Table table{"", point_head(study, columns), {}, "", false, {}};
  for (std::size_t i = first; i < std::min(study.points.size(), kMostPoints); ++i) {
    const StudyPoint& point = study.points[i];
    std::vector<Cell> cells = point_cells(point, seeds_of(point));
    for (const MeasureName& column : columns) {
      const auto measure = point.measures.find(column.measure);
      cells.push_back(measure == point.measures.end() ? Cell{"", "number"} : cell_of(measure->second));
    }
    table.rows.push_back(std::move(cells));
  }
  return table;
}

std::string notes_on_marks(const StudyRecord& study, const std::vector<MeasureName>& columns) {
  std::size_t compared = 0;
  for (const StudyPoint& point : study.points) {
    for (const MeasureName& column : columns) {
      const auto measure = point.measures.find(column.measure);
      compared +=
          measure != point.measures.end() && measure->second.difference && measure->second.difference->low;
    }
  }
  if (compared == 0) return "One seed in common: there are no intervals, and nothing can be said of chance.";
  return fmt::format(
      "* The {0:.0f}% interval leaves zero out. (*) The same, but of fewer than {1} seeds, which say little "
      "about "
      "chance. No mark: no difference seen. Of the {2} intervals here about {3} would leave zero out by "
      "chance "
      "alone.",
      100 * kConfidence, kEnoughPairs, compared,
      number_text(std::ceil((1 - kConfidence) * static_cast<double>(compared))));
}

Table everything_table(const StudyRecord& study) {
  Table table{"All measures of all points",
              {{"point", ""},
               {"measure", ""},
               {"n", "number"},
               {"mean ± std", "number"},
               {"least", "number"},
               {"most", "number"},
               {"difference from the base", "number"}},
              {},
              "",
              true,
              {}};
  for (const StudyPoint& point : study.points) {
    for (const auto& [name, measure] : point.measures) {
      if (table.rows.size() == kMostLines) {
        table.note = "The rest stands in results.csv.";
        return table;
      }
      table.rows.push_back({{point.label, "name"},
                            {name, "name"},
                            {std::to_string(measure.spread.n), "number"},
                            mean_cell_of(measure),
                            {number_text(measure.spread.min), "number"},
                            {number_text(measure.spread.max), "number"},
                            difference_cell_of(measure)});
    }
  }
  return table;
}

Table errors_table(const StudyRecord& study) {
  Table table{"Failed runs", {{"run", ""}, {"error", ""}}, {}, "", false, {}};
  for (const StudyRun& run : study.runs) {
    if (run.status != "failed") continue;
    if (table.rows.size() == kMostErrors) {
      table.note = fmt::format("The first {}; the rest stands in runs.csv.", kMostErrors);
      break;
    }
    table.rows.push_back(
        {{run.name, ""}, {run.error.empty() ? "no error was recorded; see logs/" : run.error, "code long"}});
  }
  return table;
}

/// Config, seed, versions and hashes: those of one run, since what differs stands above.
Section first_run_section(const RunRecord& run) {
  Section section = setup_section(run);
  section.title = "What was run";
  section.text.push_back(
      fmt::format("Of the run {}; the others differ by what was varied, and by the seed.", run.name));
  return section;
}

Section maps_section(const std::vector<StudyMap>& maps, const std::string& no_maps) {
  Section section{"Learnt features", {}, {}, {}, {}};
  if (!no_maps.empty()) section.text.push_back("Not all points could be shown: " + no_maps);
  if (maps.empty()) return section;
  section.text.emplace_back(
      "Cosines of learnt with true features, of one run a point. One dark cell in a row is a true feature "
      "learnt by "
      "itself; several are a combination.");
  for (const StudyMap& map : maps) section.figures.push_back(known_figure(map.known, map.title));
  return section;
}

}  // namespace

std::vector<MeasureName> main_measures(const StudyRecord& study) {
  std::vector<MeasureName> names;
  for (const HeadlineMeasure& headline : kHeadline) {
    if (has(study, headline.measure)) names.push_back({headline.measure, headline.title, headline.axis});
  }
  return names;
}

Section comparison_section(const StudyRecord& study) {
  Section section{"Comparison", {}, {}, {}, {}};
  const std::vector<MeasureName> columns = main_measures(study);
  if (columns.empty()) {
    section.text.emplace_back("No run is done: there is nothing to compare yet.");
    return section;
  }
  Table means = points_table(study, columns, 0, mean_cell_of);
  means.title = "Mean over n seeds ± standard deviation; the base first";
  means.base = {0};
  if (study.points.size() > kMostPoints)
    means.note = fmt::format("{} more points stand in results.csv.", study.points.size() - kMostPoints);
  section.tables.push_back(std::move(means));
  if (study.points.size() > 1) {
    Table differences = points_table(study, columns, 1, difference_cell_of);
    differences.title = fmt::format(
        "Differences from the base ({}), seed by seed, with {:.0f}% interval (bootstrap, at least Student's)",
        study.points.front().label, 100 * kConfidence);
    differences.note = notes_on_marks(study, columns);
    section.tables.push_back(std::move(differences));
  }
  section.details.push_back(everything_table(study));
  return section;
}

Section runs_section(const StudyRecord& study) {
  Section section{"Runs", {}, {}, {}, {}};
  if (study.count("failed") > 0) section.tables.push_back(errors_table(study));
  const std::vector<MeasureName> columns = main_measures(study);
  Table runs{"All runs", {{"run", ""}, {"seed", "number"}, {"status", ""}}, {}, "", true, {}};
  for (const MeasureName& column : columns) runs.head.push_back({column.title, "number"});
  for (const StudyRun& run : study.runs) {
    if (runs.rows.size() == kMostLines) {
      runs.note = "The rest stands in runs.csv.";
      break;
    }
    std::vector<Cell> cells = {{run.name, "name"}, {std::to_string(run.seed), "number"}, {run.status, ""}};
    for (const MeasureName& column : columns) {
      const auto value = run.measures.find(column.measure);
      cells.push_back({value == run.measures.end() ? "" : number_text(value->second), "number"});
    }
    runs.rows.push_back(std::move(cells));
  }
  if (!study.file.empty()) section.text.push_back("Study file: " + study.file);
  section.text.emplace_back(
      "Each run's config, metrics and weights lie in runs/ beside this file's study; `regulon report` makes "
      "a page "
      "of any of them.");
  section.details.push_back(std::move(runs));
  return section;
}

Page study_page(const StudyRecord& study, const StudyParts& parts) {
  Page page;
  page.kind = "study";
  page.title = study.name;
  const std::size_t done = study.count("done");
  page.lead =
      fmt::format("{}; {} × {}. {} of {} done.", axes_text(study), count_text(study.points.size(), "point"),
                  seeds_text(study), done, count_text(study.runs.size(), "run"));
  page.tiles = study_tiles(study);
  const auto tell = [&](const char* status, const char* what) {
    const std::size_t count = study.count(status);
    if (count > 0) page.notices.push_back(fmt::format("{} {}.", count_text(count, "run"), what));
  };
  tell("failed", "failed; the errors stand under Runs");
  tell("missing", "not trained yet; `regulon study` goes on");
  tell("changed", "left out: another config, other plugins or other data lie there");
  if (done == 0) page.notices.emplace_back("No run is done: there is nothing to compare.");
  if (!has_charts()) page.notices.emplace_back(kNoCharts);
  page.sections.push_back(comparison_section(study));
  if (has(study, "fvu") && has(study, "l0")) page.sections.push_back(trade_off_section(study));
  if (done > 0) page.sections.push_back(measures_section(study));
  const auto add_if_any = [&](Section section) {
    if (!section.figures.empty() || !section.text.empty()) page.sections.push_back(std::move(section));
  };
  add_if_any(study_curves_section(study, parts.curves));
  add_if_any(maps_section(parts.maps, parts.no_maps));
  add_if_any(likeness_section(parts.likeness));
  page.sections.push_back(varied_section(study));
  if (!parts.curves.empty()) page.sections.push_back(first_run_section(parts.curves.front().runs.front()));
  page.sections.push_back(runs_section(study));
  return page;
}

}  // namespace regulon::core::report
