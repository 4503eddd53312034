#include <fmt/format.h>
#include <regulon/error.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/cli/commands.h"
#include "core/cli/options.h"
#include "core/plugin/host.h"
#include "core/study/study_file.h"

namespace regulon::cli {
namespace {

struct PluginsArguments {
  std::string name;  ///< empty: list all
  std::vector<std::filesystem::path> plugin_path;
};

/// Interfaces in the order in which they are listed, and what a person calls them.
const std::vector<std::pair<std::string, std::string>>& interfaces() {
  static const std::vector<std::pair<std::string, std::string>> all = {{"loss_term/1", "Loss terms"},
                                                                       {"encoder/1", "Encoders"},
                                                                       {"activation/1", "Activations"},
                                                                       {"feature_cost/1", "Feature costs"},
                                                                       {"source/1", "Data sources"}};
  return all;
}

/// The sections of a config, and what each may hold beside what plugins declare.
const std::vector<std::pair<std::string, std::vector<ParamSpec>>>& sections() {
  static const std::vector<std::pair<std::string, std::vector<ParamSpec>>> all = {
      {"run", declaration_of<core::RunSection>().specs()},
      {"data", declaration_of<core::DataSection>().specs()},
      {"model", declaration_of<core::ModelSection>().specs()},
      {"optimiser", declaration_of<core::OptimiserSection>().specs()},
      {"encoder", declaration_of<core::EncoderSection>().specs()},
      {"cost", declaration_of<core::CostSection>().specs()},
      {"loss", declaration_of<core::LossSection>().specs()},
      {"plugins", declaration_of<core::PluginsSection>().specs()}};
  return all;
}

/// The tables of a study file. What [[axis]] holds as `values` may be anything, and is not declared.
const std::vector<std::pair<std::string, std::vector<ParamSpec>>>& study_sections() {
  static const std::vector<std::pair<std::string, std::vector<ParamSpec>>> all = {
      {"study", declaration_of<core::StudySection>().specs()},
      {"axis", declaration_of<core::AxisSection>().specs()},
      {"axis.point", declaration_of<core::PointSection>().specs()}};
  return all;
}

void print_params(const std::vector<ParamSpec>& params) {
  if (params.empty()) fmt::print("  no parameters\n");
  for (const auto& param : params) {
    const std::string standard = param.required ? "required" : "default " + to_text(param.default_value);
    fmt::print("  {:<24} {}; {}{}{}\n", param.name, accepted(param), standard,
               param.unit.empty() ? "" : "; in " + param.unit,
               param.schedulable ? "; may be a schedule" : "");
    if (!param.doc.empty()) fmt::print("  {:<24} {}\n", "", param.doc);
  }
}

int print_one(core::PluginHost& host, const std::string& name) {
  bool found = false;
  std::vector<std::string> names;
  for (const auto& [section, params] : sections()) {
    names.push_back(section);
    if (section != name) continue;
    found = true;
    fmt::print("[{}] of a config\n\n", section);
    print_params(params);
  }
  for (const auto& [section, params] : study_sections()) {
    names.push_back(section);
    if (section != name) continue;
    found = true;
    fmt::print("[{}] of a study file\n\n", section);
    print_params(params);
    if (section == "axis") fmt::print("  {:<24} what the key is set to, one after the other\n", "values");
  }
  for (const auto& [interface_id, title] : interfaces()) {
    for (auto& known : host.names(interface_id)) names.push_back(std::move(known));
    const PluginDescriptor* descriptor = host.find(interface_id, name);
    if (descriptor == nullptr) continue;
    found = true;
    fmt::print("{} ({})\n  {}\n  from {}\n\n", descriptor->name, interface_id, descriptor->summary,
               host.origin(*descriptor));
    print_params(descriptor->params);
  }
  if (found) return 0;
  throw InputError(
      {"regulon plugins", "there is no plugin of that name", "", name, did_you_mean(name, names)});
}

/// The one-line summary; of a plugin that cannot be loaded, why: the list goes on.
std::string summary_of(core::PluginHost& host, const std::string& interface_id, const std::string& name) {
  try {
    return host.find(interface_id, name)->summary;
  } catch (const InputError& error) {
    return std::string("NOT USABLE: ") + error.what();
  }
}

int print_all(core::PluginHost& host) {
  for (const auto& [interface_id, title] : interfaces()) {
    fmt::print("{}  ({})\n", title, interface_id);
    for (const auto& name : host.names(interface_id)) {
      fmt::print("  {:<18} {}\n", name, summary_of(host, interface_id, name));
    }
    fmt::print("\n");
  }
  for (const auto& file : host.files()) {
    if (!file.problem.empty()) fmt::print("not usable: {}\n", file.problem);
  }
  fmt::print(
      "`regulon plugins NAME` lists the parameters of one, or the keys of a config's section: run, data, "
      "model,\n"
      "optimiser, encoder, cost, loss, plugins; or of a study file: study, axis, axis.point.\n");
  return 0;
}

int plugins_command(const PluginsArguments& arguments) {
  core::PluginHost host(arguments.plugin_path);
  return arguments.name.empty() ? print_all(host) : print_one(host, arguments.name);
}

}  // namespace

void add_plugins(CLI::App& app, std::function<int()>& run) {
  const auto arguments = std::make_shared<PluginsArguments>();
  auto* verb = app.add_subcommand("plugins", "List what a config can name, or all about one of them");
  verb->add_option("NAME", arguments->name, "A plugin, activation or data source");
  add_plugin_path(*verb, arguments->plugin_path);
  verb->callback([arguments, &run] { run = [arguments] { return plugins_command(*arguments); }; });
}

}  // namespace regulon::cli
