#include "core/cli/write_report.h"

#include <fmt/format.h>

#include <cstdio>
#include <exception>

#include "core/plugin/call.h"
#include "core/report/page.h"

namespace regulon::cli {
namespace {

constexpr int kReportFailed = 1;

}  // namespace

int write_report(const std::function<void(const std::filesystem::path& out)>& write,
                 const std::filesystem::path& folder) {
  const std::filesystem::path out = folder / core::report::kReportName;
  try {
    write(out);
  } catch (const std::exception&) {  // of whatever kind: nothing that was trained is lost
    fmt::print(stderr, "{}\nOnly the report is missing: `regulon report {}` tries again.\n",
               core::exception_text(), folder.string());
    return kReportFailed;
  }
  print_report(out);
  return 0;
}

void print_report(const std::filesystem::path& out) {
  fmt::print("report: {}{}\n", out.string(),
             core::report::has_charts() ? "" : " (tables only: this program was built without Vega)");
}

}  // namespace regulon::cli
