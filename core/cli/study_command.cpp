#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/cli/commands.h"
#include "core/cli/options.h"
#include "core/cli/progress.h"
#include "core/cli/study_progress.h"
#include "core/cli/study_table.h"
#include "core/cli/write_report.h"
#include "core/plugin/host.h"
#include "core/study/estimate.h"
#include "core/study/run_study.h"

namespace regulon::cli {
namespace {

namespace fs = std::filesystem;

struct StudyArguments {
  fs::path file;
  std::vector<std::string> overrides;  ///< --set a.b=c of the base, or study.seeds=2 of the study
  fs::path out;                        ///< empty: runs/NAME
  std::int64_t jobs = 1;
  std::string shard = "1/1";
  bool dry_run = false;
  bool redo = false;
  bool report = true;  ///< write report.html at the end
  std::vector<fs::path> plugin_path;
};

constexpr int kRunFailed = 1;
constexpr std::size_t kToldFailures = 10;

/// How often Ctrl-C came. A signal handler can reach nothing but a static.
volatile std::sig_atomic_t study_interrupts = 0;

extern "C" void on_study_interrupt(int) {
  const std::sig_atomic_t before = study_interrupts;
  study_interrupts = before + 1;
}

std::string bytes_text(std::uint64_t bytes) {
  const auto number = static_cast<double>(bytes);
  if (number >= 1e9) return fmt::format("{:.1f} GB", number / 1e9);
  if (number >= 1e6) return fmt::format("{:.1f} MB", number / 1e6);
  return fmt::format("{:.0f} kB", number / 1e3);
}

const char* state_text(core::RunState state) {
  switch (state) {
    case core::RunState::missing:
      return "to do";
    case core::RunState::begun:
      return "begun";
    case core::RunState::done:
      return "done";
    case core::RunState::other:
      return "changed";
  }
  return "";
}

int print_dry_run(const core::Study& study, const core::Plan& plan, const core::DryRun& dry,
                  const core::StudyOptions& options) {
  fmt::print("{}: {} points, {} runs{}, in {}\n\n", study.name, plan.points.size(), dry.runs.size(),
             options.shard.of > 1 ? fmt::format(" of {} in this shard", plan.runs.size()) : "",
             options.out.string());
  for (const auto& [index, status] : dry.runs) {
    fmt::print("  {:<8} {}\n", state_text(status.state), plan.runs[index].name);
  }
  const core::Estimate& estimate = dry.estimate;
  for (const std::string& failure : estimate.failures)
    fmt::print(stderr, "\ncannot be trained: {}\n", failure);
  if (!estimate.failures.empty()) return kRunFailed;
  if (estimate.how.empty()) {
    fmt::print("\nnothing is left to do\n");
  } else {
    fmt::print("\nabout {} with {} at a time, and {} of disk ({})\n", duration_text(estimate.seconds),
               options.jobs, bytes_text(estimate.bytes), estimate.how);
  }
  return 0;
}

core::StudyCallbacks callbacks_for(StudyProgress& progress) {
  core::StudyCallbacks callbacks;
  callbacks.on_begin = [&](std::int64_t runs, std::int64_t done) { progress.begin(runs, done); };
  callbacks.on_start = [&](const core::PlannedRun& run, bool resumes) { progress.start(run, resumes); };
  callbacks.on_progress = [&](const std::vector<core::ActiveRun>& active) { progress.progress(active); };
  callbacks.on_end = [&](const core::PlannedRun& run, const core::RunEnd& end) { progress.end(run, end); };
  callbacks.stop = [] { return static_cast<int>(study_interrupts); };
  return callbacks;
}

void print_failures(const core::Plan& plan, const core::StudyResults& results,
                    const core::StudyPaths& paths) {
  std::size_t failed = 0;
  std::size_t missing = 0;
  std::size_t changed = 0;
  for (const core::RunResult& result : results.runs) {
    if (result.status == "missing") ++missing;
    if (result.status == "changed") ++changed;
    if (result.status != "failed" || ++failed > kToldFailures) continue;
    const std::string& name = plan.runs[result.run].name;
    fmt::print("\nfailed: {}\n{}\nlog: {}\n", name, result.error, paths.log(name).string());
  }
  if (failed > kToldFailures)
    fmt::print("\n… and {} more failed runs, in runs.csv\n", failed - kToldFailures);
  if (missing > 0) fmt::print("\n{} of {} runs are not done yet\n", missing, results.runs.size());
  if (changed > 0) {
    fmt::print(
        "\n{} of {} runs are left out: they lie there with another config, other plugins or other data\n",
        changed, results.runs.size());
  }
}

/// Ctrl-C is counted, and children tell how they ended: one who starts this program may have it ignore them.
void set_signals() {
  std::signal(SIGINT, on_study_interrupt);
  std::signal(SIGTERM, on_study_interrupt);
  std::signal(SIGCHLD, SIG_DFL);
}

int train_study(const core::Study& study, const core::Plan& plan, core::PluginHost& host,
                const core::StudyOptions& options, bool report) {
  core::StudyOutcome outcome;
  {
    StudyProgress progress(study.name, options.jobs);
    outcome = core::run_study(study, plan, host, options, callbacks_for(progress));
  }
  if (!outcome.finished) {
    fmt::print(stderr, "Stopped; what was trained is kept in {}. The same command goes on.\n",
               options.out.string());
    return kInterrupted;
  }
  for (const auto& line : table_lines(study, plan, outcome.results)) fmt::print("{}\n", line);
  const core::StudyPaths paths{options.out};
  print_failures(plan, outcome.results, paths);
  fmt::print("\nresults: {}, runs.csv, results.json\n", (options.out / "results.csv").string());
  int code = 0;
  if (report) {
    code = write_report(
        [&](const fs::path& out) { core::report::write_study_report(options.out, out, host); }, options.out);
  }
  return outcome.failed > 0 ? kRunFailed : code;
}

int study_command(const StudyArguments& arguments) {
  const core::Study study = core::read_study(arguments.file, arguments.overrides);
  core::StudyOptions options;
  options.out = arguments.out.empty() ? fs::path("runs") / study.name : arguments.out;
  options.jobs = arguments.jobs;
  options.shard = core::parse_shard(arguments.shard);
  options.redo = arguments.redo;
  for (const fs::path& folder : arguments.plugin_path) options.plugin_path.push_back(fs::absolute(folder));
  core::PluginHost host(plugin_folders(arguments.plugin_path, study.config_file, study.overrides));
  const core::Plan plan = core::plan_of(study, host);
  set_signals();
  if (arguments.dry_run) {
    const auto dry = core::dry_run(study, plan, host, options, [] { return study_interrupts != 0; });
    return dry.finished ? print_dry_run(study, plan, dry, options) : kInterrupted;
  }
  return train_study(study, plan, host, options, arguments.report);
}

}  // namespace

void add_study(CLI::App& app, std::function<int()>& run) {
  const auto arguments = std::make_shared<StudyArguments>();
  auto* verb = app.add_subcommand("study", "Train the runs that a study file describes, and compare them");
  verb->add_option("FILE", arguments->file, "A TOML file with [study]")->required();
  verb->add_option("--set", arguments->overrides,
                   "Override a value of the base, or of the study: study.seeds=2")
      ->take_all();
  verb->add_option("--out", arguments->out, "Folder of the study (runs/NAME)");
  verb->add_option("--jobs", arguments->jobs, "Runs at a time; they share the cores")
      ->check(whole_number(1, 1024))
      ->capture_default_str();
  verb->add_option("--shard", arguments->shard, "Do only the I-th of N parts of the runs: I/N");
  verb->add_flag("--dry-run", arguments->dry_run, "List the runs, with an estimate of time and disk");
  verb->add_flag("--redo", arguments->redo, "Train runs again whose config, plugins or data changed since");
  verb->add_flag("!--no-report", arguments->report, "Write no report.html at the end");
  add_plugin_path(*verb, arguments->plugin_path);
  verb->callback([arguments, &run] { run = [arguments] { return study_command(*arguments); }; });
}

}  // namespace regulon::cli
