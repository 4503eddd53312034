#include "core/study/estimate.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/io/atomic_file.h"
#include "core/io/run_folder.h"
#include "core/study/child.h"

namespace regulon::core {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kTrialSteps = 20;
constexpr std::size_t kTrials = 4;      ///< points that are tried at most
constexpr double kTrialSeconds = 30;    ///< after which a trial is ended, and what it has shown is used
constexpr double kStartSeconds = 1;     ///< start and evaluation of a run, where they were not measured
constexpr double kBetweenLooks = 0.05;  ///< seconds after which a trial is asked whether it is to stop

/// What one run takes.
struct Cost {
  double seconds = 0;
  double bytes = 0;
};

double folder_bytes(const fs::path& folder) {
  double bytes = 0;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(folder, error)) {
    if (entry.is_regular_file(error)) bytes += static_cast<double>(entry.file_size(error));
  }
  return bytes;
}

/// The lines of metrics that lie in a run's folder.
std::vector<nlohmann::json> metrics_of(const fs::path& folder) {
  std::ifstream stream(folder / "metrics.jsonl");
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(stream, line);) {
    auto report = nlohmann::json::parse(line, nullptr, false);
    if (report.is_object()) lines.push_back(std::move(report));
  }
  return lines;
}

/// From a run of the same point that is done.
std::optional<Cost> cost_of_done(const Config& config, const fs::path& folder) {
  std::vector<double> rates;
  for (const auto& line : metrics_of(folder)) rates.push_back(line.value("rows_per_second", 0.0));
  if (rates.empty()) return std::nullopt;
  std::nth_element(rates.begin(), rates.begin() + static_cast<std::ptrdiff_t>(rates.size() / 2), rates.end());
  const double rate = rates[rates.size() / 2];
  if (rate <= 0) return std::nullopt;
  const auto rows = static_cast<double>(config.run.steps * config.data.batch);
  return Cost{kStartSeconds + rows / rate, folder_bytes(folder)};
}

/// A folder that goes with its maker.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (fs::temp_directory_path() / "regulon-study-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) fail_on_path(pattern, "cannot be made", errno);
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;  // a destructor has nobody to tell
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// Trains a point for a few steps, or until `stop` says so.
class Trial {
 public:
  Trial(const PlannedRun& run, const StudyOptions& options, const StopAsked& stop) : run_(run) {
    steps_ = std::min(kTrialSteps, run.config.run.steps);
    write_atomically(config_, run.config.resolved().dump());
    auto arguments = train_arguments(config_, out_, options);
    for (const char* const key : {"run.steps", "run.checkpoint_every"}) {
      arguments.insert(arguments.end(), {"--set", fmt::format("{}={}", key, steps_)});
    }
    arguments.insert(arguments.end(), {"--set", "run.report_every=1"});
    const auto began = std::chrono::steady_clock::now();
    Child child({options.program, arguments, log_, options.threads_per_job()});
    while (!ended_ && seconds_ < kTrialSeconds && !stop()) {
      ended_ = child.wait(kBetweenLooks);
      seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    }
    if (ended_ && child.exit_code() != 0) {
      failure_ = failure_text(log_, run.name, child.exit_code(), child.signal());
    }
  }

  const std::string& failure() const { return failure_; }

  /// What the whole run would take, or nothing if not one step was taken.
  std::optional<Cost> cost() const {
    const auto lines = metrics_of(out_);
    if (lines.empty()) return std::nullopt;
    const double last = lines.back().value("seconds", 0.0);
    const double first = lines.front().value("seconds", 0.0);
    const auto taken = static_cast<double>(lines.size());
    // The first step also warms everything up.
    const double step = lines.size() > 1 ? (last - first) / (taken - 1) : last;
    const double around = ended_ ? seconds_ - last : kStartSeconds;
    return Cost{around + step * static_cast<double>(run_.config.run.steps), bytes(taken)};
  }

 private:
  double bytes(double lines) const {
    const RunSection& run = run_.config.run;
    const double checkpoint = folder_bytes(out_ / "checkpoints");
    const std::int64_t checkpoints =
        std::min(static_cast<std::int64_t>(kCheckpointsKept), (run.steps - 1) / run.checkpoint_every + 1);
    std::error_code error;
    const auto metrics = static_cast<double>(fs::file_size(out_ / "metrics.jsonl", error));
    const double reports = std::ceil(static_cast<double>(run.steps) / static_cast<double>(run.report_every));
    return folder_bytes(out_) + checkpoint * static_cast<double>(checkpoints - 1) +
           metrics * (reports / lines - 1);
  }

  const PlannedRun& run_;
  TemporaryFolder folder_;
  fs::path config_ = folder_.path() / "config.json";
  fs::path out_ = folder_.path() / "run";
  fs::path log_ = folder_.path() / "log";
  std::int64_t steps_ = 0;
  bool ended_ = false;
  double seconds_ = 0;
  std::string failure_;
};

/// Finds out what runs of each point take.
class Estimator {
 public:
  Estimator(const Plan& plan, const StudyPaths& paths, const StudyOptions& options, const StopAsked& stop)
      : plan_(plan), paths_(paths), options_(options), stop_(stop) {}

  /// Of no use if it was told to stop.
  Estimate estimate(const std::vector<std::pair<std::size_t, RunStatus>>& runs) {
    std::vector<const PlannedRun*> to_do;
    for (const auto& [index, status] : runs) {
      const PlannedRun& run = plan_.runs[index];
      if (status.state != RunState::done) {
        to_do.push_back(&run);
      } else if (costs_.count(run.point) == 0) {
        if (const auto cost = cost_of_done(run.config, paths_.run(run.name))) costs_[run.point] = *cost;
      }
    }
    from_done_ = costs_.size();
    try_some(to_do);
    for (const PlannedRun* run : to_do) add(cost_at(run->point));
    estimate_.seconds =
        std::max(estimate_.seconds / static_cast<double>(options_.jobs), estimate_.longest_run);
    if (!to_do.empty()) explain();
    return std::move(estimate_);
  }

 private:
  /// Tries points of which nothing is known: evenly spaced ones, if there are many.
  void try_some(const std::vector<const PlannedRun*>& to_do) {
    std::map<std::size_t, const PlannedRun*> unknown;
    for (const PlannedRun* run : to_do) {
      if (costs_.count(run->point) == 0) unknown.emplace(run->point, run);
    }
    const std::vector<std::pair<std::size_t, const PlannedRun*>> points(unknown.begin(), unknown.end());
    const std::size_t trials = std::min(kTrials, points.size());
    for (std::size_t i = 0; i < trials && !stop_(); ++i) {
      const auto& [point, run] = points[i * points.size() / trials];
      const Trial trial(*run, options_, stop_);
      if (!trial.failure().empty()) {
        estimate_.failures.push_back(fmt::format("{}: {}", plan_.points[point].label, trial.failure()));
      } else if (const auto cost = trial.cost()) {
        costs_[point] = *cost;
      }
      ++tried_;
    }
    untried_ = points.size() - trials;
  }

  /// The cost at a point; at one that was not looked at, the mean of the others.
  Cost cost_at(std::size_t point) const {
    const auto known = costs_.find(point);
    if (known != costs_.end()) return known->second;
    Cost mean;
    for (const auto& [other, cost] : costs_) {
      mean.seconds += cost.seconds / static_cast<double>(costs_.size());
      mean.bytes += cost.bytes / static_cast<double>(costs_.size());
    }
    return mean;
  }

  void add(const Cost& cost) {
    estimate_.seconds += cost.seconds;
    estimate_.longest_run = std::max(estimate_.longest_run, cost.seconds);
    estimate_.bytes += static_cast<std::uint64_t>(cost.bytes);
  }

  void explain() {
    std::string& how = estimate_.how;
    if (from_done_ > 0) how = fmt::format("from the runs of {} points that are done", from_done_);
    if (tried_ > 0) {
      how += fmt::format("{}from {} steps of {} points, trained just now", how.empty() ? "" : " and ",
                         kTrialSteps, tried_);
    }
    if (untried_ > 0) how += fmt::format("; {} other points are taken to be like these", untried_);
  }

  const Plan& plan_;
  const StudyPaths& paths_;
  const StudyOptions& options_;
  const StopAsked& stop_;
  std::map<std::size_t, Cost> costs_;  ///< by point
  std::size_t from_done_ = 0;
  std::size_t tried_ = 0;
  std::size_t untried_ = 0;
  Estimate estimate_;
};

}  // namespace

DryRun dry_run(const Study& study, const Plan& plan, const PluginHost& host, const StudyOptions& options,
               const StopAsked& stop) {
  const StudyPaths paths{fs::absolute(options.out)};
  check_study_folder(paths, study, plan, options.redo);
  StatusReader reader(host);
  DryRun result;
  for (std::size_t i = 0; i < plan.runs.size(); ++i) {
    if (options.shard.has(i)) result.runs.emplace_back(i, reader.status(paths, plan.runs[i]));
  }
  result.estimate = Estimator(plan, paths, options, stop).estimate(result.runs);
  result.finished = !stop();
  return result;
}

}  // namespace regulon::core
