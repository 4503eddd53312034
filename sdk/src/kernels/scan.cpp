#include <limits>

#include "kernels/kernels.h"
#include "kernels/simd.h"

namespace regulon::kernels::REGULON_ISA {
namespace {

/// Bounds and scores of one vector of features.
template <typename T, bool kScored>
struct Bounds {
  const ScreenedRow<T>& row;
  Vec<T> error = Vec<T>::all(row.error);

  Vec<T> high(std::int64_t f) const {
    return Vec<T>::load(row.product + f) + (Vec<T>::load(row.bias_high + f) + error);
  }
  Vec<T> low(std::int64_t f) const {
    return Vec<T>::load(row.product + f) + (Vec<T>::load(row.bias_low + f) - error);
  }
  /// Rounds as the score of the value itself does, so that it is monotone in z to the last bit.
  Vec<T> score(Vec<T> z, std::int64_t f) const {
    if constexpr (!kScored) return z;
    if (row.shift != nullptr) z = z - Vec<T>::load(row.shift + f);
    if (row.scale != nullptr) z = z * Vec<T>::load(row.scale + f);
    return z;
  }
};

std::int64_t append(std::uint32_t mask, std::int64_t first, std::int64_t count, std::int32_t* found) {
  for (; mask != 0; mask &= mask - 1) found[count++] = static_cast<std::int32_t>(first + __builtin_ctz(mask));
  return count;
}

template <typename T, bool kScored>
std::int64_t scan_tile(const ScreenedRow<T>& row, T floor, T cut, std::int32_t* found) {
  const Bounds<T, kScored> bounds{row};
  const Vec<T> floors = Vec<T>::all(floor);
  Vec<T> cuts = Vec<T>::all(cut);
  std::int64_t count = 0;
  for (std::int64_t f = 0; f < row.count; f += Vec<T>::kWidth) {
    const Vec<T> high = bounds.high(f);
    if (row.cut != nullptr) cuts = Vec<T>::load(row.cut + f);
    const std::uint32_t mask = above(high, floors) & at_least(bounds.score(high, f), cuts);
    if (mask != 0) [[unlikely]]
      count = append(mask, f, count, found);
  }
  return count;
}

template <typename T, bool kScored>
std::int64_t maxima_of_tile(const ScreenedRow<T>& row, std::int64_t groups, T* maxima) {
  constexpr int kVectors = 16 / Vec<T>::kWidth;
  const Bounds<T, kScored> bounds{row};
  const Vec<T> zero = Vec<T>::all(T(0));
  const Vec<T> lowest = Vec<T>::all(std::numeric_limits<T>::lowest());
  const std::int64_t length = 16 * ((row.count + groups - 1) / groups);
  std::int64_t written = 0;
  for (std::int64_t begin = 0; begin < row.count; begin += length, written += 16) {
    const std::int64_t end = begin + length < row.count ? begin + length : row.count;
    for (int v = 0; v < kVectors; ++v) {
      Vec<T> best = lowest;
      for (std::int64_t f = begin + v * Vec<T>::kWidth; f < end; f += 16) {
        const Vec<T> low = bounds.low(f);
        best = max(keep_above(bounds.score(low, f), low, zero, lowest), best);
      }
      best.store(maxima + written + v * Vec<T>::kWidth);
    }
  }
  return written;
}

template <typename T, bool kAbsolute>
std::int64_t scan_sizes(const T* product, std::int64_t count, T row_cut, const T* column_cut,
                        std::int32_t* found) {
  const Vec<T> row_cuts = Vec<T>::all(row_cut);
  std::int64_t hits = 0;
  std::int64_t f = 0;
  for (; f + Vec<T>::kWidth <= count; f += Vec<T>::kWidth) {
    Vec<T> size = Vec<T>::load(product + f);
    if constexpr (kAbsolute) size = abs(size);
    std::uint32_t mask = at_least(size, row_cuts);
    if (column_cut != nullptr) mask |= at_least(size, Vec<T>::load(column_cut + f));
    if (mask != 0) [[unlikely]]
      hits = append(mask, f, hits, found);
  }
  for (; f < count; ++f) {
    const T size = kAbsolute ? std::fabs(product[f]) : product[f];
    const bool reaches = size >= row_cut || (column_cut != nullptr && size >= column_cut[f]);
    if (reaches) hits = append(1U, f, hits, found);
  }
  return hits;
}

}  // namespace

template <typename T>
std::int64_t scan(const ScreenedRow<T>& row, T floor, T cut, std::int32_t* found) {
  const bool scored = row.shift != nullptr || row.scale != nullptr;
  return scored ? scan_tile<T, true>(row, floor, cut, found) : scan_tile<T, false>(row, floor, cut, found);
}

template <typename T>
std::int64_t group_maxima(const ScreenedRow<T>& row, std::int64_t groups, T* maxima) {
  const bool scored = row.shift != nullptr || row.scale != nullptr;
  return scored ? maxima_of_tile<T, true>(row, groups, maxima)
                : maxima_of_tile<T, false>(row, groups, maxima);
}

template <typename T>
std::int64_t scan_absolute(const T* product, std::int64_t count, T row_cut, const T* column_cut,
                           std::int32_t* found) {
  return scan_sizes<T, true>(product, count, row_cut, column_cut, found);
}

template <typename T>
std::int64_t scan_signed(const T* product, std::int64_t count, T row_cut, const T* column_cut,
                         std::int32_t* found) {
  return scan_sizes<T, false>(product, count, row_cut, column_cut, found);
}

template std::int64_t scan<float>(const ScreenedRow<float>&, float, float, std::int32_t*);
template std::int64_t scan<double>(const ScreenedRow<double>&, double, double, std::int32_t*);
template std::int64_t group_maxima<float>(const ScreenedRow<float>&, std::int64_t, float*);
template std::int64_t group_maxima<double>(const ScreenedRow<double>&, std::int64_t, double*);
template std::int64_t scan_absolute<float>(const float*, std::int64_t, float, const float*, std::int32_t*);
template std::int64_t scan_absolute<double>(const double*, std::int64_t, double, const double*,
                                            std::int32_t*);
template std::int64_t scan_signed<float>(const float*, std::int64_t, float, const float*, std::int32_t*);
template std::int64_t scan_signed<double>(const double*, std::int64_t, double, const double*, std::int32_t*);

}  // namespace regulon::kernels::REGULON_ISA
