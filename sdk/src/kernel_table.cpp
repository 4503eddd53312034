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
}
#endif
namespace baseline {
template <typename T>
KernelTable<T> table();
}
}  // namespace kernels

namespace {

template <typename T>
std::vector<KernelTable<T>> tables_of_this_processor() {
  std::vector<KernelTable<T>> tables;
#ifdef REGULON_X86_KERNELS
  __builtin_cpu_init();
  const bool avx2 =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512cd");
  if (avx512) tables.push_back(kernels::avx512::table<T>());
  if (avx2) tables.push_back(kernels::avx2::table<T>());
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

template const std::vector<KernelTable<float>>& kernel_tables<float>();
template const std::vector<KernelTable<double>>& kernel_tables<double>();

}  // namespace regulon
