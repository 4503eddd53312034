#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/cli/commands.h"
#include "core/cli/options.h"
#include "core/interchange/interchange.h"
#include "core/plugin/host.h"
#include "core/train/run.h"

namespace regulon::cli {
namespace {

struct ExportArguments {
  std::filesystem::path run;
  std::string to;  ///< saelens, sparsify, dictionary_learning
  std::filesystem::path out;
  std::string model_name;  ///< of the language model; empty: not told
  std::string hook_name;   ///< where its activations come from; empty: not told
  std::vector<std::filesystem::path> plugin_path;
};

int export_command(const ExportArguments& arguments) {
  core::PluginHost host(arguments.plugin_path);
  core::Run run(arguments.run, host);
  const core::Exported exported =
      core::export_run(run, arguments.to, arguments.out, {arguments.model_name, arguments.hook_name});
  fmt::print("{}: {}\n", exported.kind, arguments.out.string());
  for (const std::string& note : exported.notes) fmt::print("folded: {}\n", note);
  return 0;
}

}  // namespace

void add_export(CLI::App& app, std::function<int()>& run) {
  const auto arguments = std::make_shared<ExportArguments>();
  auto* verb = app.add_subcommand("export", "Write a finished run as another library loads it");
  verb->add_option("RUN", arguments->run, "Folder of a run")->required();
  verb->add_option("--to", arguments->to, "saelens, sparsify or dictionary_learning")->required();
  verb->add_option("--out", arguments->out, "Folder to make")->required();
  verb->add_option("--model-name", arguments->model_name, "Language model that the activations are of");
  verb->add_option("--hook-name", arguments->hook_name, "Where in it they come from");
  add_plugin_path(*verb, arguments->plugin_path);
  verb->callback([arguments, &run] { run = [arguments] { return export_command(*arguments); }; });
}

}  // namespace regulon::cli
