#include <limits>

#include "kernels/kernels.h"
#include "kernels/simd.h"

namespace regulon::kernels::REGULON_ISA {
namespace {

template <typename T>
std::int64_t count_at_least(const T* numbers, std::int64_t count, T cut) {
  const Vec<T> cuts = Vec<T>::all(cut);
  std::int64_t reached = 0;
  std::int64_t i = 0;
  for (; i + Vec<T>::kWidth <= count; i += Vec<T>::kWidth) {
    reached += __builtin_popcount(at_least(Vec<T>::load(numbers + i), cuts));
  }
  for (; i < count; ++i) reached += numbers[i] >= cut ? 1 : 0;
  return reached;
}

}  // namespace

template <typename T>
T reached_by(const T* numbers, std::int64_t count, std::int64_t k) {
  constexpr T kLowest = std::numeric_limits<T>::lowest();
  // Bisection: a few passes over numbers in cache, without the branches of a selection.
  constexpr int kSteps = 14;
  T low = std::numeric_limits<T>::infinity();
  T high = kLowest;
  std::int64_t there = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const bool counts = numbers[i] > kLowest;
    there += counts ? 1 : 0;
    low = counts && numbers[i] < low ? numbers[i] : low;
    high = numbers[i] > high ? numbers[i] : high;
  }
  if (there < k) return kLowest;
  for (int step = 0; step < kSteps; ++step) {
    const T middle = low / 2 + high / 2;
    const bool reached = count_at_least(numbers, count, middle) >= k;
    low = reached ? middle : low;
    high = reached ? high : middle;
  }
  return low;
}

template float reached_by<float>(const float*, std::int64_t, std::int64_t);
template double reached_by<double>(const double*, std::int64_t, std::int64_t);

}  // namespace regulon::kernels::REGULON_ISA
