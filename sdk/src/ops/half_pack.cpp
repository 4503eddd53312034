#include "ops/half_pack.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>

#include "ops/support.h"

namespace regulon::ops::detail {
namespace {

/// A norm from a sum of squares, rounded up; zero only for zeros.
double norm_above(double square) { return square == 0 ? 0 : std::sqrt(square) * (1 + 1e-6) + 1e-150; }

std::uint16_t* halves_of(const at::Tensor& tensor) {
  return static_cast<std::uint16_t*>(tensor.mutable_data_ptr());
}

}  // namespace

void HalfNorms::set(std::int64_t row, const HalfRow& sums) {
  rounded[static_cast<std::size_t>(row)] = norm_above(sums.square);
  residual[static_cast<std::size_t>(row)] = norm_above(sums.residual_square);
}

at::Tensor empty_half_groups(std::int64_t n, std::int64_t d) {
  return at::empty({(n + kHalfGroup - 1) / kHalfGroup, half_width(d) / 2, kHalfGroup, 2}, at::kShort);
}

HalfRow halve_padded(const HalfKernels& kernels, const float* row, std::int64_t d, std::int64_t padded,
                     std::uint16_t* half) {
  for (std::int64_t i = d; i < padded; ++i) half[i] = 0;
  return kernels.halve(row, d, half);
}

HalfNorms halve_rows(const HalfKernels& kernels, const at::Tensor& matrix, const at::Tensor& halves) {
  const std::int64_t d = matrix.size(1);
  const std::int64_t padded = halves.size(1);
  const float* const from = matrix.const_data_ptr<float>();
  std::uint16_t* const to = halves_of(halves);
  HalfNorms norms(matrix.size(0));
  at::parallel_for(0, matrix.size(0), grain_for(d), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      norms.set(row, halve_padded(kernels, from + row * d, d, padded, to + row * padded));
  });
  return norms;
}

HalfNorms halve_features(const HalfKernels& kernels, const at::Tensor& weight, const at::Tensor& groups) {
  const std::int64_t features = weight.size(0);
  const std::int64_t d = weight.size(1);
  const std::int64_t pairs = groups.size(1);
  const float* const from = weight.const_data_ptr<float>();
  std::uint16_t* const to = halves_of(groups);
  HalfNorms norms(features);
  at::parallel_for(0, groups.size(0), grain_for(kHalfGroup * d), [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::uint16_t> rounded(static_cast<std::size_t>(2 * pairs));
    for (std::int64_t group = begin; group < end; ++group) {
      std::uint16_t* const packed = to + group * pairs * kHalfGroup * 2;
      for (std::int64_t i = 0; i < kHalfGroup; ++i) {
        const std::int64_t feature = group * kHalfGroup + i;
        if (feature < features) {
          norms.set(feature, halve_padded(kernels, from + feature * d, d, 2 * pairs, rounded.data()));
        } else {
          std::fill(rounded.begin(), rounded.end(), std::uint16_t{0});
        }
        for (std::int64_t pair = 0; pair < pairs; ++pair) {
          packed[(pair * kHalfGroup + i) * 2] = rounded[static_cast<std::size_t>(2 * pair)];
          packed[(pair * kHalfGroup + i) * 2 + 1] = rounded[static_cast<std::size_t>(2 * pair + 1)];
        }
      }
    }
  });
  return norms;
}

}  // namespace regulon::ops::detail
