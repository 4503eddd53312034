#pragma once
/// The facade: a report of what lies in a folder, as one HTML file.

#include "core/io/vocabulary.h"
#include "core/plugin/host.h"
#include "core/train/run.h"

#include <filesystem>

namespace regulon::core::report {

/// The file's name unless somebody asks for another.
inline constexpr const char* kReportName = "report.html";

/// Whether a study lies in `folder`, rather than a run. Throws InputError if neither does.
bool is_study(const std::filesystem::path& folder);

/// Writes the report of the run in `folder` to `out`, whole or not at all. A finished run is measured on its
/// held-out rows, beyond what `evaluation` has if it is given; if its plugins or data are gone, the report
/// says so and tells what the summary knows. Tokens are named by `words`, if there are any. Throws InputError
/// for a folder that holds no run, or a damaged one, and for words without token ids; RunError if `out`
/// cannot be written.
void write_run_report(const std::filesystem::path& folder, const std::filesystem::path& out, PluginHost& host,
                      const RunEvaluation* evaluation = nullptr, const Vocabulary& words = {});

/// Writes the report of the study in `folder` to `out`, from its results.json; where few true features are
/// known, one run of each point is measured again for its heat map. Throws InputError if there are no
/// results, or damaged ones; RunError if `out` cannot be written.
void write_study_report(const std::filesystem::path& folder, const std::filesystem::path& out,
                        PluginHost& host);

}  // namespace regulon::core::report
