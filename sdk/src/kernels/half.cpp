#include <bit>
#include <cstring>

#include "kernels/kernels.h"
#include "kernels/simd.h"

namespace regulon::kernels::REGULON_ISA {
namespace {

/// The nearest bfloat16, to even where two are as near. Finite numbers only.
inline std::uint16_t to_half(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

inline float from_half(std::uint16_t half) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16);
}

#if defined(__AVX512BF16__)

/// Rows of bfloat16 against one group of 32 features: R rows' sums stay in registers from the first element
/// to the last.
template <int R>
inline void strip(const std::uint16_t* rows, std::int64_t d, const std::uint16_t* group, float* out,
                  std::int64_t stride, std::int64_t columns) {
  __m512 sums[R][2];
  for (int r = 0; r < R; ++r) sums[r][0] = sums[r][1] = _mm512_setzero_ps();
  for (std::int64_t i = 0; i < d; i += 2) {
    const auto left = (__m512bh)_mm512_loadu_si512(group + i * 32);
    const auto right = (__m512bh)_mm512_loadu_si512(group + i * 32 + 32);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      std::int32_t pair = 0;
      std::memcpy(&pair, rows + r * d + i, sizeof pair);
      const auto both = (__m512bh)_mm512_set1_epi32(pair);
      sums[r][0] = _mm512_dpbf16_ps(sums[r][0], both, left);
      sums[r][1] = _mm512_dpbf16_ps(sums[r][1], both, right);
    }
  }
  const auto first = static_cast<__mmask16>(columns >= 16 ? 0xFFFF : (1U << columns) - 1);
  const auto second = static_cast<__mmask16>(columns >= 32   ? 0xFFFF
                                             : columns <= 16 ? 0
                                                             : (1U << (columns - 16)) - 1);
  for (int r = 0; r < R; ++r) {
    _mm512_mask_storeu_ps(out + r * stride, first, sums[r][0]);
    _mm512_mask_storeu_ps(out + r * stride + 16, second, sums[r][1]);
  }
}

/// As many strips of R rows as there are from `row` on; returns the first row that is left.
template <int R>
inline std::int64_t strips(const std::uint16_t* rows, std::int64_t row, std::int64_t count, std::int64_t d,
                           const std::uint16_t* group, float* out, std::int64_t stride,
                           std::int64_t columns) {
  for (; row + R <= count; row += R) strip<R>(rows + row * d, d, group, out + row * stride, stride, columns);
  return row;
}

#endif

}  // namespace

HalfRow halve(const float* row, std::int64_t d, std::uint16_t* half) {
  double squares[16] = {};
  double residuals[16] = {};
  const auto take = [&](std::int64_t i, std::int64_t lane) {
    half[i] = to_half(row[i]);
    const double rounded = static_cast<double>(from_half(half[i]));
    const double residual = static_cast<double>(row[i]) - rounded;
    squares[lane] += rounded * rounded;
    residuals[lane] += residual * residual;
  };
  const std::int64_t whole = d - d % 16;
  for (std::int64_t i = 0; i < whole; i += 16) {
    for (std::int64_t lane = 0; lane < 16; ++lane) take(i + lane, lane);
  }
  for (std::int64_t i = whole; i < d; ++i) take(i, i - whole);
  HalfRow sums;
  for (int lane = 0; lane < 16; ++lane) {
    sums.square += squares[lane];
    sums.residual_square += residuals[lane];
  }
  return sums;
}

void half_product(const std::uint16_t* rows, std::int64_t count, std::int64_t d, const std::uint16_t* groups,
                  std::int64_t columns, float* out) {
#if defined(__AVX512BF16__)
  for (std::int64_t first = 0; first < columns; first += 32, groups += 32 * d) {
    const std::int64_t here = columns - first < 32 ? columns - first : 32;
    std::int64_t row = 0;
    row = strips<12>(rows, row, count, d, groups, out + first, columns, here);
    row = strips<4>(rows, row, count, d, groups, out + first, columns, here);
    strips<1>(rows, row, count, d, groups, out + first, columns, here);
  }
#else
  for (std::int64_t row = 0; row < count; ++row) {
    for (std::int64_t column = 0; column < columns; ++column) {
      const std::uint16_t* const feature = groups + column / 32 * 32 * d + column % 32 * 2;
      float sum = 0;
      for (std::int64_t i = 0; i < d; ++i)
        sum += from_half(rows[row * d + i]) * from_half(feature[i / 2 * 64 + i % 2]);
      out[row * columns + column] = sum;
    }
  }
#endif
}

}  // namespace regulon::kernels::REGULON_ISA
