#pragma once
/// The amortisation gap as a page of plots.

#include "core/measure/gap.h"

#include <filesystem>
#include <string>

namespace regulon::core::report {

/// Writes what an encoder's codes come to beside the solvers', on the same rows and dictionary, as one HTML
/// file: objectives, reconstruction against L0, and how far the rows of the tail are off. `name` says whose
/// gap it is. Throws RunError if `out` cannot be written.
void write_gap_report(const GapReport& report, const std::string& name, const std::filesystem::path& out);

}  // namespace regulon::core::report
