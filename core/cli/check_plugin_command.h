#pragma once
/// The verb `check-plugin`.

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace regulon::cli {

struct CheckPluginArguments {
  std::filesystem::path library;
  std::filesystem::path config;        ///< names the plugin; empty: one of configs/check
  std::vector<std::string> overrides;  ///< --set a.b=c
  std::vector<std::filesystem::path> plugin_path;
};
/// 0 if nothing failed, else 1.
int check_plugin_command(const CheckPluginArguments& arguments);

/// Adds the verb to `app`; `run` is set when it is asked for.
void add_check_plugin(CLI::App& app, CheckPluginArguments& arguments, std::function<int()>& run);

}  // namespace regulon::cli
