#pragma once
/// What a study's results say.

#include "core/study/results.h"

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace regulon::core::report {

struct StudyPoint {
  std::string label;
  std::vector<std::string> choices;  ///< by axis
  std::map<std::string, PointMeasure> measures;
};

struct StudyRun {
  std::string name;
  std::string point;
  std::int64_t seed = 0;
  std::string status;  ///< "done", "failed", "changed", "missing"
  std::string error;
  Measures measures;
};

/// results.json, read. Point 0 is what the others are compared with.
struct StudyRecord {
  std::string name;
  std::string file;
  std::vector<std::string> axes;
  std::vector<std::vector<std::string>> choices;  ///< by axis
  std::vector<StudyPoint> points;
  std::vector<StudyRun> runs;

  std::size_t count(const std::string& status) const;
  /// Values of `measure` of the point's runs.
  std::vector<double> values(const std::string& point, const std::string& measure) const;
};

/// Reads the study in `folder`. Throws InputError if it has no results yet, or damaged ones, or such as are
/// not of the runs that study.json names and that lie in runs/.
StudyRecord read_study_record(const std::filesystem::path& folder);

}  // namespace regulon::core::report
