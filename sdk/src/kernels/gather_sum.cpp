#include "kernels/kernels.h"
#include "kernels/simd.h"

namespace regulon::kernels::REGULON_ISA {
namespace {

/// What one weighted sum of rows reads.
template <typename T>
struct Sum {
  const T* weights;
  const std::int32_t* ids;
  std::int64_t count;
  const T* matrix;
  std::int64_t d;
  const T* start;
  T* out;
};

/// Columns [column, column + N vectors) of the sum, held in registers over all rows.
template <typename T, int N>
void sum_columns(const Sum<T>& s, std::int64_t column) {
  constexpr int kWidth = Vec<T>::kWidth;
  constexpr int kAhead = 4;
  constexpr int kLine = 64 / static_cast<int>(sizeof(T));
  Vec<T> sums[N];
  for (int i = 0; i < N; ++i) {
    sums[i] = s.start == nullptr ? Vec<T>::all(T(0)) : Vec<T>::load(s.start + column + i * kWidth);
  }
  for (std::int64_t e = 0; e < s.count; ++e) {
    const T* const row = s.matrix + s.d * s.ids[e] + column;
    if (e + kAhead < s.count) {
      const T* const next = s.matrix + s.d * s.ids[e + kAhead] + column;
      for (int i = 0; i < N * kWidth; i += kLine) __builtin_prefetch(next + i);
    }
    const Vec<T> weight = Vec<T>::all(s.weights[e]);
    for (int i = 0; i < N; ++i) sums[i] = fma(weight, Vec<T>::load(row + i * kWidth), sums[i]);
  }
  for (int i = 0; i < N; ++i) sums[i].store(s.out + column + i * kWidth);
}

/// As many blocks of N vectors as fit; returns the first column that is left.
template <typename T, int N>
std::int64_t sum_blocks(const Sum<T>& s, std::int64_t column) {
  for (; column + N * Vec<T>::kWidth <= s.d; column += N * Vec<T>::kWidth) sum_columns<T, N>(s, column);
  return column;
}

}  // namespace

template <typename T>
void gather_sum(const T* weights, const std::int32_t* ids, std::int64_t count, const T* matrix,
                std::int64_t d, const T* start, T* out) {
  const Sum<T> s{weights, ids, count, matrix, d, start, out};
  // Twelve are no quicker, and from 17 on GCC 12 leaves the loops over them rolled, and the sums in memory.
  std::int64_t column = sum_blocks<T, 8>(s, 0);
  column = sum_blocks<T, 4>(s, column);
  column = sum_blocks<T, 1>(s, column);
  for (; column < d; ++column) {
    T sum = start == nullptr ? T(0) : start[column];
    for (std::int64_t e = 0; e < count; ++e) sum = std::fma(weights[e], matrix[d * ids[e] + column], sum);
    out[column] = sum;
  }
}

template void gather_sum<float>(const float*, const std::int32_t*, std::int64_t, const float*, std::int64_t,
                                const float*, float*);
template void gather_sum<double>(const double*, const std::int32_t*, std::int64_t, const double*,
                                 std::int64_t, const double*, double*);

}  // namespace regulon::kernels::REGULON_ISA
