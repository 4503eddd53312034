#pragma once
/// A study's results as a person reads them.

#include "core/study/results.h"

#include <string>
#include <vector>

namespace regulon::cli {

/// Points and their headline measures: mean and spread over the seeds, then the differences from the first
/// point with their intervals.
std::vector<std::string> table_lines(const core::Study& study, const core::Plan& plan,
                                     const core::StudyResults& results);

}  // namespace regulon::cli
