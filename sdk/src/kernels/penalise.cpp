#include "kernels/kernels.h"
#include "kernels/simd.h"

namespace regulon::kernels::REGULON_ISA {
namespace {

template <typename T, bool kSquare>
double penalise_as(T* numbers, std::int64_t count) {
  double sums[16] = {};
  const auto add = [&](std::int64_t i, std::int64_t lane) {
    const T x = numbers[i];
    const T sign = static_cast<T>((x > 0 ? 1 : 0) - (x < 0 ? 1 : 0));
    const double wide = static_cast<double>(x);
    sums[lane] += kSquare ? wide * wide : static_cast<double>(sign * x);
    numbers[i] = kSquare ? T(2) * x : sign;
  };
  const std::int64_t whole = count - count % 16;
  for (std::int64_t i = 0; i < whole; i += 16) {
    for (std::int64_t lane = 0; lane < 16; ++lane) add(i + lane, lane);
  }
  for (std::int64_t i = whole; i < count; ++i) add(i, i - whole);
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace

template <typename T>
double penalise(T* numbers, std::int64_t count, bool square) {
  return square ? penalise_as<T, true>(numbers, count) : penalise_as<T, false>(numbers, count);
}

template double penalise<float>(float*, std::int64_t, bool);
template double penalise<double>(double*, std::int64_t, bool);

}  // namespace regulon::kernels::REGULON_ISA
