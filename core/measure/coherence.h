#pragma once
/// How near a dictionary's rows lie to each other.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>

namespace regulon::core {

/// Rows that are held against all others; of larger dictionaries so many, evenly spaced.
inline constexpr std::int64_t kCoherenceRows = 16384;

/// Figures of |cosine|, so that opposite rows are near. Rows of zeros count as far from all.
struct Coherence {
  std::int64_t rows = 0;    ///< that were held against all others
  double mean_nearest = 0;  ///< mean over them of the largest (OrtSAE, arXiv 2509.22033: mean max cosine)
  /// The largest of all. Of larger dictionaries a lower bound: pairs of two rows that were not looked at are
  /// not seen.
  double closest = 0;
  std::int64_t pairs_above_half =
      0;  ///< pairs above 0.5; of larger dictionaries scaled up from the rows seen
};

/// Measures rows [n, d] of any length. O(rows n d) in blocks, never n x n.
Coherence coherence_of(const at::Tensor& dictionary, std::int64_t rows = kCoherenceRows);

nlohmann::json to_json(const Coherence& coherence);

}  // namespace regulon::core
