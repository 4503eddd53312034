#include "kernel_table.h"

namespace regulon {

namespace kernels {
#ifdef REGULON_X86_KERNELS
namespace avx2 {
template <typename T>
KernelTable<T> table();
}
namespace avx512 {
template <typename T>
KernelTable<T> table();
HalfKernels half_table();
}  // namespace avx512
namespace avx512bf16 {
HalfKernels half_table();
}
#endif
namespace baseline {
template <typename T>
KernelTable<T> table();
HalfKernels half_table();
}  // namespace baseline
}  // namespace kernels

namespace {

#ifdef REGULON_X86_KERNELS
bool has_avx2() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
}

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512cd");
}
#endif

template <typename T>
std::vector<KernelTable<T>> tables_of_this_processor() {
  std::vector<KernelTable<T>> tables;
#ifdef REGULON_X86_KERNELS
  if (has_avx512()) tables.push_back(kernels::avx512::table<T>());
  if (has_avx2()) tables.push_back(kernels::avx2::table<T>());
#endif
  tables.push_back(kernels::baseline::table<T>());
  return tables;
}

}  // namespace

template <typename T>
const std::vector<KernelTable<T>>& kernel_tables() {
  static const std::vector<KernelTable<T>> tables = tables_of_this_processor<T>();
  return tables;
}

const std::vector<HalfKernels>& half_kernels() {
  static const std::vector<HalfKernels> tables = [] {
    std::vector<HalfKernels> found;
#ifdef REGULON_X86_KERNELS
    if (has_avx512() && __builtin_cpu_supports("avx512bf16"))
      found.push_back(kernels::avx512bf16::half_table());
    if (has_avx512()) found.push_back(kernels::avx512::half_table());
#endif
    found.push_back(kernels::baseline::half_table());
    return found;
  }();
  return tables;
}

template const std::vector<KernelTable<float>>& kernel_tables<float>();
template const std::vector<KernelTable<double>>& kernel_tables<double>();

}  // namespace regulon
