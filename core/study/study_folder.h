#pragma once
/// A study's folder:
///
///     study.json      what the study is
///     configs/        one a run, for `regulon train`
///     runs/           the runs' folders
///     logs/           what the runs printed
///     failures/       one a run that failed: how, and with what error
///     results.csv     points and their measures; runs.csv: runs and theirs; results.json: both

#include "core/io/file_lock.h"
#include "core/plugin/host.h"
#include "core/study/plan.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace regulon::core {

/// The part of a study's runs that one of several processes does: every `of`-th.
struct Shard {
  std::int64_t index = 1;  ///< from 1
  std::int64_t of = 1;
  bool has(std::size_t run) const { return static_cast<std::int64_t>(run) % of == index - 1; }
};

/// Reads "2/8". Throws InputError if that is no shard.
Shard parse_shard(const std::string& text);

/// Where things lie.
struct StudyPaths {
  std::filesystem::path root;
  std::filesystem::path description() const { return root / "study.json"; }
  std::filesystem::path config(const std::string& run) const { return root / "configs" / (run + ".json"); }
  std::filesystem::path run(const std::string& run) const { return root / "runs" / run; }
  std::filesystem::path summary(const std::string& run) const { return this->run(run) / "summary.json"; }
  std::filesystem::path log(const std::string& run) const { return root / "logs" / (run + ".log"); }
  std::filesystem::path failure(const std::string& run) const { return root / "failures" / (run + ".json"); }
};

/// How far a run has come.
enum class RunState {
  missing,  ///< nothing there
  begun,    ///< to be gone on with
  done,     ///< its summary is there
  other     ///< its folder holds another run: another config, other plugins, other data
};

struct RunStatus {
  RunState state = RunState::missing;
  std::vector<std::string> differences;  ///< of another run: what differs
};

/// Looks at a run's folder; opens the data only if there is a manifest to compare. A run whose data cannot be
/// used counts as begun: it will fail and say why.
class StatusReader {
 public:
  explicit StatusReader(const PluginHost& host) : host_(host) {}
  RunStatus status(const StudyPaths& paths, const PlannedRun& run);

 private:
  std::string fingerprint(const Config& config);

  const PluginHost& host_;
  std::map<std::string, std::string> fingerprints_;  ///< by what settles the data
};

/// Throws InputError if `root` holds something else than this study, or a part of it, or nothing; if its
/// study.json is damaged. With
/// `redo`, a study of the same name may hold other runs.
void check_study_folder(const StudyPaths& paths, const Study& study, const Plan& plan, bool redo);

/// Holds a study's folder for this process: alone, or beside other shards.
class StudyLock {
 public:
  /// Makes the folder; if nobody else is in it, removes what a kill left of runs being removed. Throws
  /// InputError if another process is at this study or at this shard of it, or if other shards divide another
  /// plan, or divide it by another number: they would do runs of this one.
  StudyLock(const StudyPaths& paths, const Shard& shard, const Plan& plan);

 private:
  void take_alone(const StudyPaths& paths);
  void share(const StudyPaths& paths, const Shard& shard, const Plan& plan);

  std::optional<FileLock> study_;
  std::optional<FileLock> shard_;
};

/// Removes a run's folder, whose lock the caller holds: first out of the way in one step, so that a kill
/// leaves no half of a run. Throws RunError.
void remove_run(const StudyPaths& paths, const std::string& run);

/// Writes study.json and then the runs' configs, after `check_study_folder`; held against other shards.
void claim_study_folder(const StudyPaths& paths, const Study& study, const Plan& plan);

/// Waits for the right to write what shards write together.
FileLock lock_results(const StudyPaths& paths);

}  // namespace regulon::core
