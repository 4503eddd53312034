#pragma once
/// The verb `new-plugin`.

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace regulon::cli {

struct NewPluginArguments {
  std::string kind;  ///< a folder of sdk/template: loss, encoder, cost
  std::string name;
  std::filesystem::path out;  ///< empty: the name, here
  std::vector<std::filesystem::path> plugin_path;
};
/// Copies the template under the plugin's own name, and says what to do with it.
int new_plugin_command(const NewPluginArguments& arguments);

/// Adds the verb to `app`; `run` is set when it is asked for.
void add_new_plugin(CLI::App& app, NewPluginArguments& arguments, std::function<int()>& run);

}  // namespace regulon::cli
