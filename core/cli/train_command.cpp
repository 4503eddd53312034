#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/cli/commands.h"
#include "core/cli/options.h"
#include "core/cli/print.h"
#include "core/cli/progress.h"
#include "core/cli/write_report.h"
#include "core/config/config.h"
#include "core/plugin/host.h"
#include "core/train/run.h"
#include "core/train/stages.h"

namespace regulon::cli {
namespace {

namespace fs = std::filesystem;

struct TrainArguments {
  fs::path config;
  std::vector<std::string> overrides;  ///< --set a.b=c
  fs::path out;                        ///< empty: runs/NAME
  bool resume = false;
  bool report = true;                 ///< write report.html at the end
  fs::path vocabulary;                ///< names the report's tokens, line by line; empty: none
  std::vector<fs::path> plugin_path;  ///< --plugin-path
};

/// Set by Ctrl-C. A signal handler can reach nothing but a static.
volatile std::sig_atomic_t interrupted = 0;

extern "C" void on_interrupt(int) { interrupted = 1; }

int train_command(const TrainArguments& arguments) {
  core::PluginHost host(plugin_folders(arguments.plugin_path, arguments.config, arguments.overrides));
  const std::vector<core::Stage> stages =
      core::load_stages(arguments.config, arguments.overrides, arguments.out, host);
  const core::Vocabulary words =
      arguments.vocabulary.empty() ? core::Vocabulary() : core::Vocabulary(arguments.vocabulary);
  const fs::path folder = stages.back().folder;

  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);
  core::TrainResult result;
  fs::path under_way = folder;
  {
    std::string title;  // of the stage under way
    std::optional<Progress> progress;
    core::TrainCallbacks callbacks;
    callbacks.on_start = [&](std::int64_t step) {
      if (step > 0) fmt::print(stderr, "{}  resuming at step {}\n", title, step);
    };
    callbacks.on_report = [&](const core::Report& report) { progress->show(report); };
    callbacks.stop = [] { return interrupted != 0; };
    result = core::train_stages(stages, host, arguments.resume, callbacks, [&](const core::Stage& stage) {
      under_way = stage.folder;
      title = stage.config.run.name + (stage.name.empty() ? "" : ", stage " + stage.name);
      progress.emplace(title);
    });
  }
  if (!result.finished) {
    fmt::print(stderr, "Stopped; a checkpoint is written in {}. The same command with --resume goes on.\n",
               under_way.string());
    return kInterrupted;
  }
  print_evaluation(result.evaluation);
  if (result.evaluation.held_out.fvu > 1) {
    fmt::print(
        stderr,
        "warning: this reconstructs worse than the mean row does (FVU above 1): the run diverged, or has no\n"
        "         term that asks for reconstruction. A lower [optimiser] learning_rate or clip may help.\n");
  }
  fmt::print("run: {}\n", folder.string());
  if (!arguments.report) return 0;
  return write_report(
      [&](const fs::path& out) {
        core::report::write_run_report(folder, out, host, &result.evaluation, words);
      },
      folder);
}

}  // namespace

void add_train(CLI::App& app, std::function<int()>& run) {
  const auto arguments = std::make_shared<TrainArguments>();
  auto* verb = app.add_subcommand("train", "Train a sparse autoencoder as a config says");
  verb->add_option("CONFIG", arguments->config, "A TOML file")->required();
  verb->add_option("--set", arguments->overrides, "Override a value of the config: run.steps=100")
      ->take_all();
  verb->add_option("--out", arguments->out, "Folder of the run (runs/NAME)");
  verb->add_flag("--resume", arguments->resume, "Go on where the newest checkpoint in the folder stops");
  verb->add_flag("!--no-report", arguments->report, "Write no report.html at the end");
  add_vocabulary(*verb, arguments->vocabulary, "In the report: a");
  add_plugin_path(*verb, arguments->plugin_path);
  verb->callback([arguments, &run] { run = [arguments] { return train_command(*arguments); }; });
}

}  // namespace regulon::cli
