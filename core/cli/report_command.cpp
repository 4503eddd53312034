#include <regulon/error.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "core/cli/commands.h"
#include "core/cli/new_file.h"
#include "core/cli/options.h"
#include "core/cli/write_report.h"
#include "core/plugin/host.h"

namespace regulon::cli {
namespace {

struct ReportArguments {
  std::filesystem::path folder;      ///< a run's or a study's
  std::filesystem::path out;         ///< the file; empty: report.html in the folder
  std::filesystem::path vocabulary;  ///< text whose line i (from 0) is token i; empty: none
  std::vector<std::filesystem::path> plugin_path;
};

int report_command(const ReportArguments& arguments) {
  namespace report = core::report;
  const std::filesystem::path out =
      arguments.out.empty() ? arguments.folder / report::kReportName : arguments.out;
  require_new_file(out);
  const bool is_study = report::is_study(arguments.folder);
  if (is_study && !arguments.vocabulary.empty()) {
    throw InputError({"--vocab", "names tokens, and a study's report shows none", "the folder of a run",
                      arguments.folder.string(), "take one of the runs in its folder runs/"});
  }
  const core::Vocabulary words =
      arguments.vocabulary.empty() ? core::Vocabulary() : core::Vocabulary(arguments.vocabulary);
  core::PluginHost host(arguments.plugin_path);
  if (is_study) {
    report::write_study_report(arguments.folder, out, host);
  } else {
    report::write_run_report(arguments.folder, out, host, nullptr, words);
  }
  print_report(out);
  return 0;
}

}  // namespace

void add_report(CLI::App& app, std::function<int()>& run) {
  const auto arguments = std::make_shared<ReportArguments>();
  auto* verb = app.add_subcommand("report", "Make one HTML file of a run or a study, with plots");
  verb->add_option("FOLDER", arguments->folder, "Folder of a run or a study")->required();
  verb->add_option("--out", arguments->out, "File to write (report.html in the folder)");
  add_vocabulary(*verb, arguments->vocabulary, "Of a run whose data carry token ids: a");
  add_plugin_path(*verb, arguments->plugin_path);
  verb->callback([arguments, &run] { run = [arguments] { return report_command(*arguments); }; });
}

}  // namespace regulon::cli
