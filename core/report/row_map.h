#pragma once
/// Held-out rows on a plane, each with its loss.

#include <optional>

#include "core/io/vocabulary.h"
#include "core/report/run_record.h"
#include "core/train/run.h"

namespace regulon::core::report {

/// Rows of a map at most; of more held-out rows, evenly spaced ones.
inline constexpr std::int64_t kMapPoints = 2000;

/// Of rows [m, d] as stored and their losses [m] double: where they lie on their first two principal
/// components. The sign of a component is that of its largest entry. Without row numbers and tokens.
Measured::RowMap principal_map(const at::Tensor& rows, const at::Tensor& losses);

/// The map of the run's losses on held-out rows of `source`; none of fewer than three rows.
std::optional<Measured::RowMap> row_map(Run& run, Source& source, const Vocabulary& words);

}  // namespace regulon::core::report
