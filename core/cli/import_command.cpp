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

namespace regulon::cli {
namespace {

struct ImportArguments {
  std::filesystem::path path;
  std::filesystem::path out;
  std::vector<std::filesystem::path> plugin_path;
};

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

}  // namespace

void add_import(CLI::App& app, std::function<int()>& run) {
  const auto arguments = std::make_shared<ImportArguments>();
  auto* verb = app.add_subcommand("import", "Make a run of a dictionary that another library saved");
  verb->add_option("PATH", arguments->path,
                   "Folder saved by SAELens, sparsify or dictionary_learning, or an ae.pt")
      ->required();
  verb->add_option("--out", arguments->out, "Folder of the run, to be made")->required();
  add_plugin_path(*verb, arguments->plugin_path);
  verb->callback([arguments, &run] { run = [arguments] { return import_command(*arguments); }; });
}

}  // namespace regulon::cli
