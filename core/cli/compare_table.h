#pragma once
/// Two runs beside each other, as a person reads it.

#include "core/train/compare.h"

namespace regulon::cli {

/// Prints conclusions, features, reconstruction and losses to standard output.
void print_comparison(const core::RunComparison& comparison);

}  // namespace regulon::cli
