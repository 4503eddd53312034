#include "kernels/kernels.h"

#define REGULON_TEXT(x) #x
#define REGULON_NAME(x) REGULON_TEXT(x)

namespace regulon::kernels::REGULON_ISA {

template <typename T>
KernelTable<T> table() {
  return {REGULON_NAME(REGULON_ISA), gather_dot<T>, gather_sum<T>,    square_sum<T>,  scan<T>,
          group_maxima<T>,           reached_by<T>, scan_absolute<T>, scan_signed<T>, penalise<T>};
}

HalfKernels half_table() {
#if defined(__AVX512BF16__)
  return {true, halve, half_product};
#else
  return {false, halve, half_product};
#endif
}

template KernelTable<float> table<float>();
template KernelTable<double> table<double>();

}  // namespace regulon::kernels::REGULON_ISA
