#pragma once
/// The amortisation gap as a person reads it.

#include "core/measure/gap.h"

namespace regulon::cli {

/// The table of a report, and its worst rows, to standard output.
void print_gap(const core::GapReport& report);

}  // namespace regulon::cli
