#include <regulon/error.h>

#include "core/cli/commands.h"
#include "core/cli/new_file.h"
#include "core/cli/write_report.h"
#include "core/plugin/host.h"

namespace regulon::cli {

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

}  // namespace regulon::cli
