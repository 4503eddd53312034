#include "core/study/run_study.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <list>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "core/io/atomic_file.h"
#include "core/study/child.h"
#include "core/train/environment.h"

namespace regulon::core {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr auto kBetweenTurns = std::chrono::milliseconds(20);
constexpr auto kBetweenReports = std::chrono::milliseconds(200);
/// A killed process may hold its folder for a moment longer.
constexpr auto kPatience = std::chrono::seconds(10);
constexpr std::size_t kToldChanges = 5;

double seconds_since(Clock::time_point then) {
  return std::chrono::duration<double>(Clock::now() - then).count();
}

/// The lock of a run's folder; nothing if there is no folder, or if another process keeps it for long.
std::optional<FileLock> lock_of(const fs::path& folder) {
  const auto until = Clock::now() + kPatience;
  while (fs::is_directory(folder)) {
    auto lock = FileLock::try_take(folder / ".lock");
    if (lock || Clock::now() > until) return lock;
    std::this_thread::sleep_for(kBetweenTurns);
  }
  return std::nullopt;
}

void remove_file(const fs::path& path) {
  std::error_code error;
  fs::remove(path, error);
  if (error) fail_on_path(path, "cannot be removed", error.value());
}

/// The runs of one call, one after the other and several at a time.
class StudyRunner {
 public:
  StudyRunner(const Plan& plan, const StudyPaths& paths, StatusReader& reader, const StudyOptions& options,
              const StudyCallbacks& callbacks)
      : plan_(plan), paths_(paths), reader_(reader), options_(options), callbacks_(callbacks) {}

  /// Sorts the shard's runs by what is to be done. Throws InputError for runs that differ from what is there.
  void look() {
    std::vector<Problem> changes;
    std::int64_t runs = 0;
    for (std::size_t i = 0; i < plan_.runs.size(); ++i) {
      if (!options_.shard.has(i)) continue;
      ++runs;
      const PlannedRun& run = plan_.runs[i];
      const RunStatus status = reader_.status(paths_, run);
      if (status.state == RunState::other && !options_.redo) add_change(run, status, changes);
      if (status.state != RunState::done) pending_.push_back(&run);
    }
    if (!changes.empty()) throw InputError(std::move(changes));
    if (callbacks_.on_begin) callbacks_.on_begin(runs, runs - static_cast<std::int64_t>(pending_.size()));
  }

  void run(StudyOutcome& outcome) {
    Clock::time_point reported = Clock::now() - kBetweenReports;
    while (!active_.empty() || (!pending_.empty() && !stopping_)) {
      heed_stop();
      while (!stopping_ && !pending_.empty() && static_cast<std::int64_t>(active_.size()) < options_.jobs)
        start();
      collect(outcome);
      if (Clock::now() - reported >= kBetweenReports) {
        report();
        reported = Clock::now();
      }
      std::this_thread::sleep_for(kBetweenTurns);
    }
    outcome.finished = stopping_ == 0;
  }

 private:
  struct Active {
    Active(const PlannedRun& the_run, const Command& command) : run(&the_run), child(command) {}
    const PlannedRun* run;
    Clock::time_point began = Clock::now();
    Child child;
  };

  void add_change(const PlannedRun& run, const RunStatus& status, std::vector<Problem>& changes) const {
    if (changes.size() >= kToldChanges) return;
    changes.push_back({paths_.run(run.name).string(), "holds another run", "", status.differences.front(),
                       "--redo trains such runs again; --out writes the study elsewhere"});
  }

  /// Tells the runs to stop as soon as the study is told to.
  void heed_stop() {
    const int asked = callbacks_.stop ? callbacks_.stop() : 0;
    if (asked <= stopping_) return;
    stopping_ = asked;
    for (const Active& active : active_) active.child.send(asked == 1 ? SIGTERM : SIGKILL);
  }

  void start() {
    const PlannedRun& run = *pending_.front();
    pending_.pop_front();
    const std::string& name = run.name;
    RunState state = RunState::missing;
    {
      const auto lock = lock_of(paths_.run(name));
      state = reader_.status(paths_, run).state;  // since the last look, somebody may have been there
      // Without the lock nothing is removed: the run itself finds its folder in use, and says so.
      if (state == RunState::other && options_.redo && lock) remove_run(paths_, name);
    }
    remove_file(paths_.failure(name));
    if (callbacks_.on_start) callbacks_.on_start(run, state == RunState::begun || state == RunState::done);
    const Command command{options_.program, train_arguments(paths_.config(name), paths_.run(name), options_),
                          paths_.log(name), options_.threads_per_job()};
    active_.emplace_back(run, command);
  }

  void collect(StudyOutcome& outcome) {
    for (auto it = active_.begin(); it != active_.end();) {
      if (!it->child.ended()) {
        ++it;
        continue;
      }
      const RunEnd end = end_of(*it);
      if (!end.stopped) ++(end.error.empty() ? outcome.trained : outcome.failed);
      if (callbacks_.on_end) callbacks_.on_end(*it->run, end);
      it = active_.erase(it);
    }
  }

  RunEnd end_of(const Active& active) const {
    const std::string& name = active.run->name;
    RunEnd end;
    end.seconds = seconds_since(active.began);
    if (active.child.exit_code() == 0 && fs::exists(paths_.summary(name))) {
      end.measures = read_measures(paths_.summary(name));
      return end;
    }
    end.stopped = stopping_ != 0;
    if (end.stopped) return end;
    end.error = failure_text(paths_.log(name), name, active.child.exit_code(), active.child.signal());
    const nlohmann::json record = {
        {"error", end.error}, {"exit_code", active.child.exit_code()}, {"signal", active.child.signal()}};
    write_atomically(paths_.failure(name),
                     record.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
    return end;
  }

  void report() const {
    if (!callbacks_.on_progress) return;
    std::vector<ActiveRun> all;
    for (const Active& active : active_) {
      all.push_back(active_run(*active.run, paths_.run(active.run->name)));
      all.back().seconds = seconds_since(active.began);
    }
    callbacks_.on_progress(all);
  }

  const Plan& plan_;
  const StudyPaths& paths_;
  StatusReader& reader_;
  const StudyOptions& options_;
  const StudyCallbacks& callbacks_;
  std::deque<const PlannedRun*> pending_;
  std::list<Active> active_;
  int stopping_ = 0;
};

}  // namespace

std::int64_t StudyOptions::threads_per_job() const {
  return std::max<std::int64_t>(1, usable_threads() / std::max<std::int64_t>(1, jobs));
}

std::vector<std::string> train_arguments(const fs::path& config, const fs::path& out,
                                         const StudyOptions& options) {
  std::vector<std::string> arguments = {"train",      config.string(), "--out",
                                        out.string(), "--resume",      "--no-report"};
  for (const fs::path& folder : options.plugin_path) {
    arguments.insert(arguments.end(), {"--plugin-path", folder.string()});
  }
  return arguments;
}

StudyOutcome run_study(const Study& study, const Plan& plan, const PluginHost& host,
                       const StudyOptions& options, const StudyCallbacks& callbacks) {
  const StudyPaths paths{fs::absolute(options.out)};
  check_study_folder(paths, study, plan, options.redo);
  const StudyLock lock(paths, options.shard, plan);
  StatusReader reader(host);
  StudyRunner runner(plan, paths, reader, options, callbacks);
  {
    const FileLock together = lock_results(paths);
    check_study_folder(paths, study, plan, options.redo);
    runner.look();
    claim_study_folder(paths, study, plan);
  }
  StudyOutcome outcome;
  runner.run(outcome);
  const FileLock together = lock_results(paths);
  outcome.results =
      results_of(plan, paths, [&](const PlannedRun& run) { return reader.status(paths, run).state; });
  write_results(study, plan, paths, outcome.results);
  return outcome;
}

}  // namespace regulon::core
