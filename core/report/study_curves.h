#pragma once
/// How the points of a study trained.

#include <filesystem>
#include <string>
#include <vector>

#include "core/report/page.h"
#include "core/report/run_record.h"
#include "core/report/study_record.h"

namespace regulon::core::report {

/// Points whose curves are drawn at most: more lines would not be told apart.
inline constexpr std::size_t kCurvedPoints = 8;
/// Seeds of each that are read at most.
inline constexpr std::size_t kCurvedSeeds = 16;
/// Seeds of each that are drawn as thin lines at most.
inline constexpr std::size_t kThinSeeds = 3;

/// A point's runs that are done.
struct PointCurves {
  std::string name;
  std::vector<RunRecord> runs;
};

/// Reads the metrics of the study's base and of the points with the lowest FVU. Throws InputError for runs
/// that are damaged.
std::vector<PointCurves> read_curves(const StudyRecord& study, const std::filesystem::path& folder);

/// FVU, L0 and every loss term by step, as means over seeds; empty without any.
Section study_curves_section(const StudyRecord& study, const std::vector<PointCurves>& points);

}  // namespace regulon::core::report
