#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/cli/commands.h"
#include "core/plugin/host.h"
#include "core/train/refit.h"

namespace regulon::cli {

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

}  // namespace regulon::cli
