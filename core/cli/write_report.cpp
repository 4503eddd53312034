#include "core/cli/write_report.h"

#include <fmt/format.h>
#include <regulon/error.h>

#include <cstdio>

namespace regulon::cli {
namespace {

constexpr int kReportFailed = 1;

}  // namespace

int write_report(const std::function<void(const std::filesystem::path& out)>& write,
                 const std::filesystem::path& folder) {
  const std::filesystem::path out = folder / core::report::kReportName;
  try {
    write(out);
  } catch (const Error& error) {
    fmt::print(stderr, "{}\nOnly the report is missing: `regulon report {}` tries again.\n", error.what(),
               folder.string());
    return kReportFailed;
  }
  fmt::print("report: {}\n", out.string());
  return 0;
}

}  // namespace regulon::cli
