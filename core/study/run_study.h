#pragma once
/// Trains what a study lacks, each run as a process of its own, and makes its tables.

#include "core/plugin/host.h"
#include "core/study/plan.h"
#include "core/study/results.h"
#include "core/study/study_folder.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace regulon::core {

struct StudyOptions {
  std::filesystem::path out;
  std::int64_t jobs = 1;  ///< runs at a time; they share the threads of this process
  Shard shard;
  bool redo = false;                               ///< train runs again whose config, plugins or data changed
  std::vector<std::filesystem::path> plugin_path;  ///< of the runs, absolute
  /// What trains a run: this program itself, unless a test says otherwise.
  std::filesystem::path program = "/proc/self/exe";

  /// Threads of one run.
  std::int64_t threads_per_job() const;
};

/// A run under way, as its own metrics tell.
struct ActiveRun {
  const PlannedRun* run = nullptr;
  std::int64_t step = 0;  ///< 0 before the first report
  double seconds = 0;     ///< since it was started here
  double fvu = 0;
  double l0 = 0;
  double dead_share = 0;
  double rows_per_second = 0;
};

/// How a run ended.
struct RunEnd {
  std::string error;     ///< empty: it is done
  bool stopped = false;  ///< because the study was; neither done nor failed
  double seconds = 0;    ///< since it was started here
  Measures measures;     ///< of a run that is done
};

/// What a front end hears and says. Every member may be empty.
struct StudyCallbacks {
  /// Before anything is started: runs of this shard, and how many of them are done already.
  std::function<void(std::int64_t runs, std::int64_t done)> on_begin;
  std::function<void(const PlannedRun&, bool resumes)> on_start;
  std::function<void(const std::vector<ActiveRun>&)> on_progress;  ///< several times a second
  std::function<void(const PlannedRun&, const RunEnd&)> on_end;
  /// 0: go on; 1: let the runs write their checkpoints, then return; 2 or more: kill them.
  std::function<int()> stop;
};

struct StudyOutcome {
  bool finished = false;  ///< false if `stop` ended it
  std::int64_t trained = 0;
  std::int64_t failed = 0;  ///< of this shard, in this call
  StudyResults results;     ///< of all that lies in the folder and is of this plan
};

/// Trains the runs of `plan` (of the shard) that are not done yet into `options.out`, goes on with those that
/// were begun, records those that fail, and writes the tables. Throws InputError before the first run for a
/// folder that cannot be used: another study's, in use, holding runs that differ from what is planned.
StudyOutcome run_study(const Study& study, const Plan& plan, const PluginHost& host,
                       const StudyOptions& options, const StudyCallbacks& callbacks);

/// The command that trains `run` as `paths` say.
std::vector<std::string> train_arguments(const std::filesystem::path& config,
                                         const std::filesystem::path& out, const StudyOptions& options);

/// What the last line of a run's metrics says; zeros if there is none yet.
ActiveRun active_run(const PlannedRun& run, const std::filesystem::path& folder);

/// What a process that failed left in its log, and how it ended, for people.
std::string failure_text(const std::filesystem::path& log, const std::string& run, int exit_code, int signal);

}  // namespace regulon::core
