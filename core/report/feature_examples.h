#pragma once
/// A handful of features that are worth looking at.

#include "core/io/vocabulary.h"
#include "core/measure/feature_rows.h"
#include "core/report/run_record.h"

namespace regulon::core::report {

/// Rows shown of each feature at most.
inline constexpr std::int64_t kStrongRows = 8;
/// Features of each group at most.
inline constexpr std::size_t kGroupFeatures = 6;
/// Of more alive features, pairs of neighbours are looked for among the most frequent so many.
inline constexpr std::int64_t kNeighbourPool = 8192;

/// The most frequent features, those in the middle, the rarest, and those with the nearest neighbours:
/// `strongest` [n, k] of `rows` held-out rows, `decoder` [n, d]. Features that never fire are in none.
Measured::Examples feature_examples(const FeatureRows& strongest, const at::Tensor& decoder,
                                    std::int64_t rows, const Vocabulary& words);

}  // namespace regulon::core::report
