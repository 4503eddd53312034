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
#include "core/plugin/host.h"
#include "core/train/refit.h"

namespace regulon::cli {
namespace {

struct RefitArguments {
  std::filesystem::path run;
  std::filesystem::path out;
  core::RefitSettings settings;
  bool json = false;
  std::vector<std::filesystem::path> plugin_path;
};

int refit_command(const RefitArguments& arguments) {
  core::PluginHost host(arguments.plugin_path);
  const core::RefitReport report = core::refit_run(arguments.run, host, arguments.settings, arguments.out);
  if (arguments.json) {
    const nlohmann::json object = {{"before", core::to_json(report.before)},
                                   {"after", core::to_json(report.after)},
                                   {"iterations", report.fit.iterations},
                                   {"gradient", report.fit.gradient}};
    fmt::print("{}\n", object.dump(2));
    return 0;
  }
  fmt::print("{:<9}{:>10}{:>14}{:>14}{:>14}\n", "decoder", "FVU", "norm ratio", "shrinkage", "L0");
  const auto line = [](const char* name, const core::Evaluation& evaluation) {
    fmt::print("{:<9}{:>10.5f}{:>14.4f}{:>14.4f}{:>14.2f}\n", name, evaluation.fvu, evaluation.norm_ratio,
               evaluation.relative_bias, evaluation.l0);
  };
  line("before", report.before);
  line("after", report.after);
  fmt::print(
      "Shrinkage is E|xhat|^2 / E<x, xhat>: below one, codes are too "
      "small. {} iterations, gradient {:.1e} of "
      "the first. {}\n",
      report.fit.iterations, report.fit.gradient, arguments.out.string());
  return 0;
}

}  // namespace

void add_refit(CLI::App& app, std::function<int()>& run) {
  const auto arguments = std::make_shared<RefitArguments>();
  auto* verb = app.add_subcommand("refit", "Fit a run's decoder anew with its encoder frozen");
  verb->add_option("RUN", arguments->run, "Folder of a run")->required();
  verb->add_option("--out", arguments->out, "Folder of the new run, to be made")->required();
  verb->add_flag("--scale", arguments->settings.scale_only, "Only one factor for each dictionary row");
  verb->add_option("--ridge", arguments->settings.ridge, "Pull towards the decoder as it was")
      ->check(not_negative())
      ->capture_default_str();
  verb->add_option("--rows", arguments->settings.rows, "Training rows to fit on")
      ->check(whole_number(1, std::int64_t{1} << 40))
      ->capture_default_str();
  verb->add_option("--iterations", arguments->settings.iterations, "Of conjugate gradients at most")
      ->check(whole_number(1, 1 << 30))
      ->capture_default_str();
  verb->add_flag("--json", arguments->json, "Print one JSON object");
  add_plugin_path(*verb, arguments->plugin_path);
  verb->callback([arguments, &run] { run = [arguments] { return refit_command(*arguments); }; });
}

}  // namespace regulon::cli
