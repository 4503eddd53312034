#include <fmt/format.h>

#include "core/cli/commands.h"
#include "core/config/config.h"
#include "core/plugin/host.h"
#include "core/train/run.h"

namespace regulon::cli {

int data_command(const DataArguments& arguments) {
  core::PluginHost host(plugin_folders(arguments.plugin_path, arguments.config, arguments.overrides));
  const core::Config config = core::load_config(arguments.config, arguments.overrides, host);
  core::write_data(config, arguments.rows, arguments.out);
  fmt::print("{} rows and their true features: {}\n", arguments.rows, arguments.out.string());
  return 0;
}

}  // namespace regulon::cli
