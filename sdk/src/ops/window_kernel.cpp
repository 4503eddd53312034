#include "ops/window_kernel.h"

#include <ATen/ops/empty_like.h>

#include "ops/support.h"

namespace regulon::ops::detail {

at::Tensor window_kernel(Selection::Kernel kernel, const at::Tensor& distances, double window) {
  at::Tensor weights = at::empty_like(distances);
  by_dtype(distances, [&](auto zero) {
    using T = decltype(zero);
    const T half = static_cast<T>(window / 2);
    const T* const distance = distances.const_data_ptr<T>();
    T* const weight = weights.mutable_data_ptr<T>();
    for (std::int64_t i = 0; i < distances.numel(); ++i) {
      const double u = static_cast<double>(distance[i]) / window;
      weight[i] = std::fabs(distance[i]) <= half ? static_cast<T>(window_kernel(kernel, u)) : zero;
    }
  });
  return weights;
}

}  // namespace regulon::ops::detail
