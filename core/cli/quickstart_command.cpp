#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/cli/commands.h"
#include "core/cli/heat_map.h"
#include "core/cli/options.h"
#include "core/cli/print.h"
#include "core/cli/progress.h"
#include "core/config/config.h"
#include "core/plugin/host.h"
#include "core/train/run.h"

namespace regulon::cli {
namespace {

namespace fs = std::filesystem;

struct QuickstartArguments {
  fs::path out = "runs/quickstart";
  std::int64_t seeds = 3;
};

/// One of the two things that are compared.
struct Side {
  std::string title;
  fs::path config;
};

const std::vector<Side>& sides() {
  static const std::vector<Side> both = {
      {"MSE + L1", fs::path(REGULON_CONFIG_DIR) / "toy" / "plain.toml"},
      {"MSE + L1 + orthogonality", fs::path(REGULON_CONFIG_DIR) / "toy" / "orthogonal.toml"}};
  return both;
}

struct Outcome {
  std::int64_t seed = 0;
  core::RunEvaluation evaluation;
};

Outcome train_one(const Side& side, std::int64_t seed, const fs::path& out) {
  core::PluginHost host({});
  const core::Config config = core::load_config(side.config, {fmt::format("run.seed={}", seed)}, host);
  const fs::path folder = out / fmt::format("{}-seed{}", config.run.name, seed);
  // What an earlier quickstart left, whole or not, makes place.
  if (fs::exists(folder / "manifest.json") || fs::exists(folder / ".lock")) fs::remove_all(folder);
  Progress progress(fmt::format("{}, seed {}", config.run.name, seed));
  core::TrainCallbacks callbacks;
  callbacks.on_report = [&](const core::Report& report) {
    if (report.step == report.steps || isatty(STDERR_FILENO) == 1) progress.show(report);
  };
  return {seed, core::train(config, host, folder, false, callbacks).evaluation};
}

HeatMap map_of(const Side& side, const Outcome& outcome) {
  const core::KnownFeatures& known = *outcome.evaluation.known;
  return {fmt::format("{}, seed {}", side.title, outcome.seed),
          fmt::format("found {}/{}, combinations {}, FVU {:.4f}, L0 {:.2f}", known.found.size(),
                      known.found.size() + known.missed.size(), known.composed.size(),
                      outcome.evaluation.held_out.fvu, outcome.evaluation.held_out.l0),
          known};
}

void print_table(const std::vector<std::vector<Outcome>>& outcomes) {
  fmt::print("{:<26} {:>4} {:>7} {:>12} {:>8} {:>6}  {}\n", "", "seed", "found", "combinations", "FVU", "L0",
             "missed");
  for (std::size_t side = 0; side < outcomes.size(); ++side) {
    for (const auto& outcome : outcomes[side]) {
      const core::KnownFeatures& known = *outcome.evaluation.known;
      fmt::print("{:<26} {:>4} {:>4}/{:<2} {:>12} {:>8.4f} {:>6.2f}  {}\n", sides()[side].title, outcome.seed,
                 known.found.size(), known.found.size() + known.missed.size(), known.composed.size(),
                 outcome.evaluation.held_out.fvu, outcome.evaluation.held_out.l0, list_text(known.missed));
    }
  }
}

/// What the pair of runs of one seed shows, in a sentence made from the measures.
std::string verdict(const core::KnownFeatures& plain, const core::KnownFeatures& cured) {
  const bool failed = !plain.missed.empty() || !plain.composed.empty();
  const bool whole = cured.missed.empty() && cured.composed.empty();
  if (!failed) return "nothing failed without orthogonality, so there was nothing to cure";
  if (whole) return "the true features come out, and no combination is left";
  const bool better =
      cured.missed.size() <= plain.missed.size() && cured.composed.size() <= plain.composed.size() &&
      (cured.missed.size() < plain.missed.size() || cured.composed.size() < plain.composed.size());
  return fmt::format("{}: {} missed and {} combinations with orthogonality, {} and {} without",
                     better ? "better, but not cured" : "NOT cured", cured.missed.size(),
                     cured.composed.size(), plain.missed.size(), plain.composed.size());
}

void print_maps(const std::vector<std::vector<Outcome>>& outcomes) {
  const bool colour = isatty(STDOUT_FILENO) == 1;
  fmt::print(
      "\nLearnt directions (rows) against true features (columns), cosine in tenths; + a combination, x "
      "silent\n\n");
  for (std::size_t seed = 0; seed < outcomes.front().size(); ++seed) {
    std::vector<HeatMap> maps;
    for (std::size_t side = 0; side < outcomes.size(); ++side) {
      maps.push_back(map_of(sides()[side], outcomes[side][seed]));
    }
    for (const auto& line : heat_map_lines(maps, colour)) fmt::print("{}\n", line);
    fmt::print("\n");
  }
}

int quickstart_command(const QuickstartArguments& arguments) {
  const auto began = std::chrono::steady_clock::now();
  fmt::print(
      "Two sets of four features; a sample holds one of each set, and partners come together often. A "
      "dictionary of\n"
      "16 directions is trained on the sums. Does it find the 8 features, or directions that combine "
      "them?\n\n");
  std::fflush(stdout);
  std::vector<std::vector<Outcome>> outcomes;
  std::vector<HeatMap> maps;
  for (const auto& side : sides()) {
    auto& results = outcomes.emplace_back();
    for (std::int64_t seed = 0; seed < arguments.seeds; ++seed) {
      results.push_back(train_one(side, seed, arguments.out));
      maps.push_back(map_of(side, results.back()));
    }
  }
  print_maps(outcomes);
  print_table(outcomes);
  fmt::print("\n");
  for (std::size_t seed = 0; seed < outcomes.front().size(); ++seed) {
    fmt::print("seed {}: {}\n", seed,
               verdict(*outcomes[0][seed].evaluation.known, *outcomes[1][seed].evaluation.known));
  }
  const fs::path picture = arguments.out / "heat_maps.svg";
  write_heat_maps(picture, "Learnt against true features", maps, static_cast<std::size_t>(arguments.seeds));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  fmt::print("\npicture: {}\nruns:    {}\nconfigs: {}\n         {}\n({})\n", fs::absolute(picture).string(),
             fs::absolute(arguments.out).string(), sides()[0].config.string(), sides()[1].config.string(),
             duration_text(seconds));
  return 0;
}

}  // namespace

void add_quickstart(CLI::App& app, std::function<int()>& run) {
  const auto arguments = std::make_shared<QuickstartArguments>();
  auto* verb = app.add_subcommand("quickstart",
                                  "Two short studies on toy data with known features, printed and drawn");
  verb->add_option("--out", arguments->out, "Folder to write to")->capture_default_str();
  verb->add_option("--seeds", arguments->seeds, "Seeds of each study")
      ->check(whole_number(1, 100))
      ->capture_default_str();
  verb->callback([arguments, &run] { run = [arguments] { return quickstart_command(*arguments); }; });
}

}  // namespace regulon::cli
