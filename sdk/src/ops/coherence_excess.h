#pragma once
/// By how much cosines exceed a cap.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace regulon::ops::detail {

/// What a pass over all pairs that are not both frozen finds.
struct Excess {
  double sum = 0;       ///< over ordered pairs (i new, j any) of (|cos| - mu)_+²
  double largest = 0;   ///< |cos|
  at::Tensor gradient;  ///< of the sum, [n, d]; zero in frozen rows; undefined if nobody wants it
};

/// `unit_rows` [n, d] contiguous, without gradient.
Excess find_excess(const at::Tensor& unit_rows, double mu, std::int64_t frozen, bool with_gradient);

/// Pairs that are close to each other.
struct ClosePairs {
  std::vector<std::int32_t> row;    ///< [pairs]
  std::vector<std::int32_t> other;  ///< [pairs]: above `row`
  double largest = 0;               ///< |cos| of all pairs, listed or not
  bool complete = true;             ///< whether all pairs above the cut are listed
};

/// Pairs i < j, not both frozen, with |cos| above `cut`: by row blocks, then rows. At most about `limit`: of
/// each block of pairs the closest. `unit_rows` as above.
ClosePairs close_pairs(const at::Tensor& unit_rows, double cut, std::int64_t frozen, std::int64_t limit);

}  // namespace regulon::ops::detail
