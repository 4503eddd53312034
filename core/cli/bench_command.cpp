#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/cli/commands.h"
#include "core/config/config.h"
#include "core/plugin/host.h"

namespace regulon::cli {

namespace {

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

}  // namespace

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

}  // namespace regulon::cli
