#pragma once
/// What a study will take, before it is begun.

#include "core/study/run_study.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace regulon::core {

/// Time and disk of the runs that are still to do.
struct Estimate {
  double seconds = 0;                 ///< from start to end, with the jobs asked for
  double longest_run = 0;             ///< seconds of the longest of them
  std::uint64_t bytes = 0;            ///< that they will add
  std::string how;                    ///< how that was found out, in a few words
  std::vector<std::string> failures;  ///< points that could not even be tried, and why
};

/// Runs of the shard, and how far each has come.
struct DryRun {
  std::vector<std::pair<std::size_t, RunStatus>> runs;  ///< index into the plan, what is there
  Estimate estimate;
  bool finished = false;  ///< false if `stop` ended it: then the estimate is of no use
};

/// Whether to stop.
using StopAsked = std::function<bool()>;

/// Looks at what is there and estimates the rest, writing nothing into the study's folder: from the metrics
/// and files of runs of the same point that are done, or else from a few steps of a few points, trained into
/// a temporary folder, one at a time, which is removed also when `stop` ends it. Throws InputError like
/// `run_study` for a folder that cannot be used.
DryRun dry_run(const Study& study, const Plan& plan, const PluginHost& host, const StudyOptions& options,
               const StopAsked& stop);

}  // namespace regulon::core
