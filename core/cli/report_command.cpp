#include "core/cli/commands.h"
#include "core/cli/write_report.h"
#include "core/plugin/host.h"

namespace regulon::cli {

int report_command(const ReportArguments& arguments) {
  namespace report = core::report;
  const std::filesystem::path out =
      arguments.out.empty() ? arguments.folder / report::kReportName : arguments.out;
  const bool is_study = report::is_study(arguments.folder);
  core::PluginHost host(arguments.plugin_path);
  if (is_study) {
    report::write_study_report(arguments.folder, out, host);
  } else {
    report::write_run_report(arguments.folder, out, host);
  }
  print_report(out);
  return 0;
}

}  // namespace regulon::cli
