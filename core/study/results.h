#pragma once
/// What came of a study's runs, and the tables made of it.

#include "core/study/plan.h"
#include "core/study/spread.h"
#include "core/study/study_folder.h"

#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace regulon::core {

/// Measures by name. Held-out figures have the names of the summary ("fvu", "l0"), all others that of their
/// part before a dot: "known.found", "train.dead_share".
using Measures = std::map<std::string, double>;

/// The numbers of a run's summary; of the ids of found, missed and composed features, how many. Times are
/// left out, and so is what is not finite.
Measures measures_of(const nlohmann::json& summary);

/// Those of the summary in `path`; none if it cannot be read.
Measures read_measures(const std::filesystem::path& path);

/// One run, looked at.
struct RunResult {
  std::size_t run = 0;     ///< index into the plan
  std::string status;      ///< "done", "failed", "changed" (another run lies there), "missing"
  std::string error;       ///< of a failed run
  nlohmann::json summary;  ///< of a finished one
  Measures measures;
};

/// One measure at one point.
struct PointMeasure {
  Spread spread;
  std::optional<Difference> difference;  ///< from point 0, over the seeds that both have; none at point 0
};

/// Everything that the tables say.
struct StudyResults {
  std::vector<RunResult> runs;                              ///< in the plan's order
  std::vector<std::map<std::string, PointMeasure>> points;  ///< one per point of the plan, by measure
};

/// How far a run has come, see `StatusReader`.
using StateOf = std::function<RunState(const PlannedRun&)>;

/// Reads what lies in the study's folder. Only runs that `state_of` calls done have measures: those of other
/// configs, plugins or data are left out of the points.
StudyResults results_of(const Plan& plan, const StudyPaths& paths, const StateOf& state_of);

/// A line per point and measure.
std::string points_csv(const Study& study, const Plan& plan, const StudyResults& results);
/// A line per run. Like the other table, it depends on what was trained alone: not on when, by whom and in
/// how many goes.
std::string runs_csv(const Study& study, const Plan& plan, const StudyResults& results);
/// Both, with the runs' whole summaries.
nlohmann::json results_json(const Study& study, const Plan& plan, const StudyResults& results);

/// Writes results.csv, runs.csv and results.json into the folder, whole or not at all.
void write_results(const Study& study, const Plan& plan, const StudyPaths& paths,
                   const StudyResults& results);

}  // namespace regulon::core
