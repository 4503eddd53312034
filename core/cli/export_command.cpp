#include <fmt/format.h>

#include "core/cli/commands.h"
#include "core/interchange/interchange.h"
#include "core/plugin/host.h"
#include "core/train/run.h"

namespace regulon::cli {

int export_command(const ExportArguments& arguments) {
  core::PluginHost host(arguments.plugin_path);
  core::Run run(arguments.run, host);
  const core::Exported exported =
      core::export_run(run, arguments.to, arguments.out, {arguments.model_name, arguments.hook_name});
  fmt::print("{}: {}\n", exported.kind, arguments.out.string());
  for (const std::string& note : exported.notes) fmt::print("folded: {}\n", note);
  return 0;
}

}  // namespace regulon::cli
