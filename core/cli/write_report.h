#pragma once
/// The report that a verb writes when its work is done.

#include "core/report/write_report.h"

#include <filesystem>
#include <functional>

namespace regulon::cli {

/// Has `write` write report.html in `folder`, and says where. What was trained stands even if that fails: the
/// error is told with the command that tries again. Returns the exit code.
int write_report(const std::function<void(const std::filesystem::path& out)>& write,
                 const std::filesystem::path& folder);

/// Says where the report is, and if it has no plots.
void print_report(const std::filesystem::path& out);

}  // namespace regulon::cli
