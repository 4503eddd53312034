#include <fmt/format.h>
#include <regulon/error.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/cli/commands.h"
#include "core/cli/options.h"
#include "core/conformance/conformance.h"
#include "core/io/mapped_file.h"
#include "core/plugin/host.h"

namespace regulon::cli {
namespace {

namespace fs = std::filesystem;

struct CheckPluginArguments {
  fs::path library;
  fs::path config;                     ///< names the plugin; empty: one of configs/check
  std::vector<std::string> overrides;  ///< --set a.b=c
  std::vector<fs::path> plugin_path;
};

/// The library as the host sees it. Throws InputError if it is none that can be used.
const core::PluginFile& found_in(const core::PluginHost& host, const fs::path& library) {
  for (const core::PluginFile& file : host.files()) {
    std::error_code failed;
    if (!fs::equivalent(file.path, library, failed)) continue;
    if (!file.problem.empty()) throw InputError({"", file.problem, "", "", ""});
    return file;
  }
  throw InputError({library.string(), "is no plugin library",
                    "a file that regulon_add_plugin made, plugins/NAME.so",
                    fs::exists(library) ? "another kind of file" : "no file of that name", "build it first"});
}

/// A config of configs/check with the plugin in its place.
core::Config config_with(const core::PluginFile& file, const std::string& base,
                         const std::vector<std::string>& overrides, core::PluginHost& host) {
  const fs::path path = fs::path(REGULON_CONFIG_DIR) / "check" / (base + ".toml");
  const core::MappedFile written(path);
  std::string text(reinterpret_cast<const char*>(written.data()), written.size());
  std::vector<std::string> all = overrides;
  if (file.interface_id == "loss_term/1") text += fmt::format("[[loss]]\nplugin = \"{}\"\n", file.name);
  if (file.interface_id == "feature_cost/1") text += fmt::format("[cost]\nplugin = \"{}\"\n", file.name);
  if (file.interface_id == "encoder/1") all.insert(all.begin(), "encoder.plugin=" + file.name);
  return core::parse_config(text, path.string(), all, host);
}

/// The first config of configs/check in which the plugin finds what it needs.
core::Config usual_config(const core::PluginFile& file, const std::vector<std::string>& overrides,
                          core::PluginHost& host) {
  std::optional<InputError> first;
  for (const char* const base : {"relu", "topk", "jumprelu", "gated"}) {
    try {
      return config_with(file, base, overrides, host);
    } catch (const InputError& error) {
      if (!first) first = error;
    }
  }
  std::vector<Problem> problems = first->problems();
  std::string& hint = problems.back().hint;
  if (overrides.empty())
    hint += fmt::format(
        "{}--set gives the plugin parameters that it requires, --config FILE takes a config of yours",
        hint.empty() ? "" : "; ");
  throw InputError(problems);
}

/// Where the config names the plugin.
const core::Choice& choice_of(const core::Config& config, const PluginDescriptor* descriptor) {
  for (const core::LossChoice& loss : config.losses) {
    if (loss.term.descriptor == descriptor) return loss.term;
  }
  for (const core::Choice* choice : {&config.encoder, &config.cost}) {
    if (choice->descriptor == descriptor) return *choice;
  }
  throw InputError({config.file.string(), "does not name the plugin that is to be checked", descriptor->name,
                    "", "add it to the config"});
}

const char* word(core::Finding::Outcome outcome) {
  if (outcome == core::Finding::Outcome::passed) return "passed";
  return outcome == core::Finding::Outcome::failed ? "FAILED" : "look";
}

/// 0 if nothing failed, else 1.
int check_plugin_command(const CheckPluginArguments& arguments) {
  std::vector<fs::path> folders = arguments.plugin_path;
  if (!arguments.config.empty()) folders = plugin_folders(folders, arguments.config, arguments.overrides);
  folders.insert(folders.begin(), fs::absolute(arguments.library).parent_path());
  core::PluginHost host(folders);
  const core::PluginFile& file = found_in(host, arguments.library);
  const core::Config config = arguments.config.empty()
                                  ? usual_config(file, arguments.overrides, host)
                                  : core::load_config(arguments.config, arguments.overrides, host);
  const PluginDescriptor* const descriptor = host.find(file.interface_id, file.name);
  const core::Choice& choice = choice_of(config, descriptor);
  fmt::print("{} ({}), in {}\n", file.name, file.interface_id, config.file.string());
  std::fflush(stdout);  // a plugin may crash
  const auto findings = core::check_conformance(config, host, choice);
  for (const core::Finding& finding : findings)
    fmt::print("  {:<7} {:<13} {}\n", word(finding.outcome), finding.check, finding.text);
  const auto count = [&](core::Finding::Outcome outcome) {
    return std::count_if(findings.begin(), findings.end(),
                         [&](const core::Finding& finding) { return finding.outcome == outcome; });
  };
  const auto failed = count(core::Finding::Outcome::failed);
  fmt::print("{} passed, {} failed, {} to look at{}\n", count(core::Finding::Outcome::passed), failed,
             count(core::Finding::Outcome::noted),
             failed > 0 ? "; what follows a failure may not have been run" : "");
  return failed == 0 ? 0 : 1;
}

}  // namespace

void add_check_plugin(CLI::App& app, std::function<int()>& run) {
  const auto arguments = std::make_shared<CheckPluginArguments>();
  auto* verb = app.add_subcommand("check-plugin",
                                  "Hold a plugin library against what training expects of it: exit code 1 if "
                                  "a check failed; what it says to look at may be meant so");
  verb->add_option("LIBRARY", arguments->library, "build/plugins/NAME.so, as regulon_add_plugin makes it")
      ->required();
  verb->add_option("--config", arguments->config,
                   "Small config that names it; unless given: one of configs/check, with the plugin added");
  verb->add_option("--set", arguments->overrides, "KEY=VALUE to set in that config, as loss.NAME.delta=2")
      ->take_all();
  verb->add_option("--plugin-path", arguments->plugin_path, "Folders with more plugins")->take_all();
  verb->callback([arguments, &run] { run = [arguments] { return check_plugin_command(*arguments); }; });
}

}  // namespace regulon::cli
