#pragma once
/// Measures as a person reads them.

#include "core/train/drop_curve.h"
#include "core/train/run.h"

#include <string>

namespace regulon::cli {

/// The figures of an evaluation, and of the known features where there are some, to standard output.
void print_evaluation(const core::RunEvaluation& evaluation);
/// How the losses of rows lie, and which rows have the highest.
void print_losses(const core::LossSpread& losses);
/// What is left of the reconstruction, point by point.
void print_drop_curve(const core::DropCurve& curve);
/// "0, 3, 5", or "none".
std::string list_text(const std::vector<std::int64_t>& ids);

}  // namespace regulon::cli
