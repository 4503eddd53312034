#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/cli/commands.h"
#include "core/cli/options.h"
#include "core/config/config.h"
#include "core/plugin/host.h"
#include "core/train/run.h"

namespace regulon::cli {
namespace {

struct DataArguments {
  std::filesystem::path config;
  std::vector<std::string> overrides;
  std::filesystem::path out;
  std::int64_t rows = 0;
  std::vector<std::filesystem::path> plugin_path;
};

int data_command(const DataArguments& arguments) {
  core::PluginHost host(plugin_folders(arguments.plugin_path, arguments.config, arguments.overrides));
  const core::Config config = core::load_config(arguments.config, arguments.overrides, host);
  core::write_data(config, arguments.rows, arguments.out);
  fmt::print("{} rows and their true features: {}\n", arguments.rows, arguments.out.string());
  return 0;
}

}  // namespace

void add_data(CLI::App& app, std::function<int()>& run) {
  const auto arguments = std::make_shared<DataArguments>();
  auto* verb = app.add_subcommand("data", "Write a config's toy data and its true features to files");
  verb->add_option("CONFIG", arguments->config, "A TOML file whose [data] source is a toy")->required();
  verb->add_option("--out", arguments->out, "Folder to make")->required();
  verb->add_option("--rows", arguments->rows, "Rows to write")
      ->check(whole_number(1, std::int64_t{1} << 40))
      ->required();
  verb->add_option("--set", arguments->overrides, "Override a value of the config: run.seed=1")->take_all();
  add_plugin_path(*verb, arguments->plugin_path);
  verb->callback([arguments, &run] { run = [arguments] { return data_command(*arguments); }; });
}

}  // namespace regulon::cli
