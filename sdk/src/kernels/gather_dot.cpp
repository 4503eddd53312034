#include "kernels/kernels.h"
#include "kernels/simd.h"

namespace regulon::kernels::REGULON_ISA {
namespace {

/// The 16 interleaved partial sums of one dot product.
template <typename T>
struct Partials {
  static constexpr int kVectors = 16 / Vec<T>::kWidth;
  Vec<T> sums[kVectors];

  void clear() {
    for (int i = 0; i < kVectors; ++i) sums[i] = Vec<T>::all(T(0));
  }

  /// Adds the products of 16 more elements of each side.
  void add(const T* a, const T* b) {
    for (int i = 0; i < kVectors; ++i) {
      const int at = i * Vec<T>::kWidth;
      sums[i] = fma(Vec<T>::load(a + at), Vec<T>::load(b + at), sums[i]);
    }
  }

  T total() const {
    T lanes[16];
    for (int i = 0; i < kVectors; ++i) sums[i].store(lanes + i * Vec<T>::kWidth);
    for (int j = 0; j < 8; ++j) lanes[j] += lanes[j + 8];
    for (int j = 0; j < 4; ++j) lanes[j] += lanes[j + 4];
    for (int j = 0; j < 2; ++j) lanes[j] += lanes[j + 2];
    return lanes[0] + lanes[1];
  }
};

/// Copies the last d % 16 elements of a row into 16, zeros after them.
template <typename T>
void pad_tail(const T* tail, std::int64_t length, T* padded) {
  for (std::int64_t j = 0; j < 16; ++j) padded[j] = j < length ? tail[j] : T(0);
}

/// N dot products at once: enough independent chains to hide the latency of the multiply-add. `next` holds
/// the rows that are needed after these.
template <typename T, int N>
void dots(const T* row, const T* const* others, const T* const* next, std::int64_t d, T* out) {
  Partials<T> partials[N];
  for (int c = 0; c < N; ++c) partials[c].clear();
  const std::int64_t whole = d - d % 16;
  for (std::int64_t i = 0; i < whole; i += 16) {
    for (int c = 0; c < N; ++c) {
      __builtin_prefetch(next[c] + i);
      partials[c].add(row + i, others[c] + i);
    }
  }
  if (whole < d) {
    T left[16];
    T right[16];
    pad_tail(row + whole, d - whole, left);
    for (int c = 0; c < N; ++c) {
      pad_tail(others[c] + whole, d - whole, right);
      partials[c].add(left, right);
    }
  }
  for (int c = 0; c < N; ++c) out[c] = partials[c].total();
}

}  // namespace

template <typename T>
void gather_dot(const T* row, const T* matrix, std::int64_t d, const std::int32_t* ids, std::int64_t count,
                T* out) {
  constexpr int kAtOnce = 4;
  const auto at = [&](std::int64_t i) { return matrix + d * ids[i < count ? i : count - 1]; };
  std::int64_t i = 0;
  for (; i + kAtOnce <= count; i += kAtOnce) {
    const T* const others[kAtOnce] = {at(i), at(i + 1), at(i + 2), at(i + 3)};
    const T* const next[kAtOnce] = {at(i + 4), at(i + 5), at(i + 6), at(i + 7)};
    dots<T, kAtOnce>(row, others, next, d, out + i);
  }
  for (; i < count; ++i) {
    const T* const other = at(i);
    const T* const next = at(i + 1);
    dots<T, 1>(row, &other, &next, d, out + i);
  }
}

template <typename T>
double square_sum(const T* row, std::int64_t d) {
  double lanes[16] = {};
  const std::int64_t whole = d - d % 16;
  for (std::int64_t i = 0; i < whole; i += 16) {
    for (int j = 0; j < 16; ++j)
      lanes[j] += static_cast<double>(row[i + j]) * static_cast<double>(row[i + j]);
  }
  for (std::int64_t i = whole; i < d; ++i) {
    lanes[i - whole] += static_cast<double>(row[i]) * static_cast<double>(row[i]);
  }
  double total = 0;
  for (const double lane : lanes) total += lane;
  return total;
}

template void gather_dot<float>(const float*, const float*, std::int64_t, const std::int32_t*, std::int64_t,
                                float*);
template void gather_dot<double>(const double*, const double*, std::int64_t, const std::int32_t*,
                                 std::int64_t, double*);
template double square_sum<float>(const float*, std::int64_t);
template double square_sum<double>(const double*, std::int64_t);

}  // namespace regulon::kernels::REGULON_ISA
