#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/cli/commands.h"
#include "core/cli/options.h"
#include "core/config/config.h"
#include "core/plugin/host.h"
#include "core/train/step_bench.h"

namespace regulon::cli {
namespace {

constexpr std::int64_t kMost = 1 << 30;  ///< of anything that is counted

struct BenchStepArguments {
  core::StepBenchSettings settings;
  bool json = false;
  std::vector<std::filesystem::path> plugin_path;
};

/// What was not said is as in configs/bench/step.toml.
core::StepBenchSettings completed(core::StepBenchSettings settings, core::PluginHost& host) {
  const auto file = std::filesystem::path(REGULON_CONFIG_DIR) / "bench" / "step.toml";
  const core::Config usual = core::load_config(file, {}, host);
  if (settings.encoder.empty()) settings.encoder = usual.encoder.plugin;
  if (settings.activation.empty()) settings.activation = usual.activation.plugin;
  if (settings.losses.empty()) {
    for (const core::LossChoice& loss : usual.losses) settings.losses.push_back(loss.term.plugin);
  }
  return settings;
}

int bench_step_command(const BenchStepArguments& arguments) {
  core::PluginHost host(arguments.plugin_path);
  const core::StepBenchSettings settings = completed(arguments.settings, host);
  const core::StepBenchResult result = core::bench_step(settings, host);
  if (arguments.json) {
    nlohmann::json object = core::to_json(result);
    object.update({{"batch", settings.batch},
                   {"features", settings.features},
                   {"encoder", settings.encoder},
                   {"activation", settings.activation},
                   {"losses", settings.losses}});
    fmt::print("{}\n", object.dump(2));
    return 0;
  }
  fmt::print("{:<18}{:>10}{:>9}{:>22}\n", "mean of a phase", "ms", "share", "float32 products");
  for (const auto& [name, milliseconds] : result.phases) {
    fmt::print("{:<18}{:>10.2f}{:>8.1f}%{:>22.3f}\n", name, milliseconds, 100 * milliseconds / result.mean_ms,
               milliseconds / result.floor_ms);
  }
  fmt::print("{:<18}{:>10.2f}{:>9}{:>22.3f}\n", "steps (mean)", result.mean_ms, "",
             result.mean_ms / result.floor_ms);
  fmt::print("{:<18}{:>10.2f}{:>9}{:>22.3f}\n", "step (median)", result.step_ms, "", result.ratio);
  fmt::print("{:<18}{:>10.2f}  (the encoder's [B, d] x [d, n], timed in turn)\n", "float32 product",
             result.floor_ms);
  fmt::print("a report every {} steps adds {:.2f}%\n", result.report_every, 100 * result.report_share);
  fmt::print("L0 {:.1f}, dead {:.1f}%, peak memory {:.0f} MiB\n", result.l0, 100 * result.dead_share,
             result.peak_mib);
  return 0;
}

/// What a step is made of.
void add_step_options(CLI::App& verb, core::StepBenchSettings& settings) {
  const auto count = [&](const char* option, std::int64_t& value, const char* help) {
    verb.add_option(option, value, help)->check(whole_number(1, kMost))->capture_default_str();
  };
  count("--batch", settings.batch, "Rows of a step");
  count("--width", settings.width, "Activation width d");
  count("--features", settings.features, "Dictionary rows n");
  count("--k", settings.k, "Active features of a row");
  verb.add_option("--dead", settings.dead, "Share of the features that are made dead, for AuxK to work on")
      ->check(share_up_to(0.9))
      ->capture_default_str();
  verb.add_option("--encoder", settings.encoder,
                  "Encoder plugin; this and the next two unless given: configs/bench/step.toml's");
  verb.add_option("--activation", settings.activation, "What chooses the codes");
  verb.add_option("--loss", settings.losses, "Loss terms, one or more times")->take_all();
  verb.add_option("--set", settings.overrides, "Override a value of the config that these make")->take_all();
  verb.add_option("--data", settings.data, "Files to train on, in place of made-up rows in memory")
      ->take_all();
}

}  // namespace

void add_bench(CLI::App& app, std::function<int()>& run) {
  const auto arguments = std::make_shared<BenchStepArguments>();
  auto* bench = app.add_subcommand("bench", "Measure how quick things are here");
  bench->require_subcommand(1);
  auto* verb =
      bench->add_subcommand("step", "A training step, in units of the encoder's float32 matrix product");
  core::StepBenchSettings& settings = arguments->settings;
  add_step_options(*verb, settings);
  verb->add_option("--threads", settings.threads, "CPU threads; 0: as a run would choose")
      ->check(whole_number(0, 1 << 20))
      ->capture_default_str();
  verb->add_option("--precision", settings.precision, "Of the screening product: auto, float32, bfloat16")
      ->capture_default_str();
  verb->add_option("--device", settings.device, "cpu, cuda or auto")->capture_default_str();
  verb->add_option("--steps", settings.steps, "Steps to measure")
      ->check(whole_number(1, kMost))
      ->capture_default_str();
  verb->add_flag("--json", arguments->json, "Print one JSON object");
  add_plugin_path(*verb, arguments->plugin_path);
  verb->callback([arguments, &run] { run = [arguments] { return bench_step_command(*arguments); }; });
}

}  // namespace regulon::cli
