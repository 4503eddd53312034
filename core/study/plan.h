#pragma once
/// From a study to its runs.

#include "core/study/study_file.h"

#include <cstdint>
#include <string>
#include <vector>

namespace regulon::core {

/// A combination of choices: what is repeated over seeds and compared with other points.
struct Point {
  std::string label;                 ///< "k=8,l1.weight=0.1"; "base" if there is no axis
  std::vector<std::size_t> choices;  ///< one per axis
};

/// A run that the study consists of.
struct PlannedRun {
  std::string name;  ///< of its folder, and its [run] name: the point's label and the seed
  std::size_t point = 0;
  std::int64_t seed = 0;
  Config config;
};

/// What a study comes to. Point 0, the first choice of every axis, is what the others are compared with.
struct Plan {
  std::vector<Point> points;
  std::vector<PlannedRun> runs;  ///< seed by seed, so that the first seed is through soon
};

/// Makes the runs of `study`. Throws InputError with everything that is wrong in any of their configs, each
/// problem once, with the run that has it if not all do, or with the runs that would get the same name.
Plan plan_of(const Study& study, Catalogue& catalogue);

}  // namespace regulon::core
