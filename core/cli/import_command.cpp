#include <fmt/format.h>

#include "core/cli/commands.h"
#include "core/interchange/interchange.h"
#include "core/plugin/host.h"

namespace regulon::cli {

int import_command(const ImportArguments& arguments) {
  core::PluginHost host(arguments.plugin_path);
  const core::Imported imported = core::import_run(arguments.path, arguments.out, host);
  fmt::print("{}, {} features of width {}: {}\n", imported.kind, imported.sae.features(),
             imported.sae.width(), arguments.out.string());
  for (const std::string& note : imported.sae.notes) fmt::print("folded: {}\n", note);
  for (const std::string& remark : imported.remarks) fmt::print("not used: {}\n", remark);
  fmt::print("measure it:      regulon eval {} --data GLOB\ntrain on from it: [model] init\n",
             arguments.out.string());
  return 0;
}

}  // namespace regulon::cli
