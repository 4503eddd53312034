#include <fmt/format.h>

#include "core/cli/commands.h"
#include "core/plugin/host.h"
#include "core/report/write_report.h"

namespace regulon::cli {

int report_command(const ReportArguments& arguments) {
  namespace report = core::report;
  const std::filesystem::path out =
      arguments.out.empty() ? arguments.folder / report::kReportName : arguments.out;
  if (report::is_study(arguments.folder)) {
    report::write_study_report(arguments.folder, out);
  } else {
    core::PluginHost host(arguments.plugin_path);
    report::write_run_report(arguments.folder, out, host);
  }
  fmt::print("report: {}\n", out.string());
  return 0;
}

}  // namespace regulon::cli
