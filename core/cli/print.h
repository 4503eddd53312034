#pragma once
/// Measures as a person reads them.

#include "core/train/run.h"

#include <string>

namespace regulon::cli {

/// The figures of an evaluation, and of the known features where there are some, to standard output.
void print_evaluation(const core::RunEvaluation& evaluation);
/// "0, 3, 5", or "none".
std::string list_text(const std::vector<std::int64_t>& ids);

}  // namespace regulon::cli
