#pragma once
/// Matrices rounded to bfloat16 and laid out as the kernels multiply them.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "kernel_table.h"

namespace regulon::ops::detail {

inline constexpr std::int64_t kHalfGroup = 32;  ///< features packed together

/// Norms of rounded rows, and of what the rounding took away; rounded up, zero only for zeros.
struct HalfNorms {
  std::vector<double> rounded;
  std::vector<double> residual;

  explicit HalfNorms(std::int64_t count)
      : rounded(static_cast<std::size_t>(count)), residual(static_cast<std::size_t>(count)) {}
  void set(std::int64_t row, const HalfRow& sums);
};

/// d rounded up to an even number: how wide rounded rows are.
inline std::int64_t half_width(std::int64_t d) { return (d + 1) / 2 * 2; }

/// `row` [d] rounded, and zeros up to the padded width.
HalfRow halve_padded(const HalfKernels& kernels, const float* row, std::int64_t d, std::int64_t padded,
                     std::uint16_t* half);

/// Rounds the rows of `matrix` [B, d] into `halves` [B, half_width(d)], 16 bits each.
HalfNorms halve_rows(const HalfKernels& kernels, const at::Tensor& matrix, const at::Tensor& halves);

/// An empty tensor of the shape that `halve_features` fills: [ceil(n / 32), half_width(d) / 2, 32, 2].
at::Tensor empty_half_groups(std::int64_t n, std::int64_t d);

/// Rounds features [n, d] and packs them in groups; features that fill up the last group are zeros.
HalfNorms halve_features(const HalfKernels& kernels, const at::Tensor& weight, const at::Tensor& groups);

}  // namespace regulon::ops::detail
