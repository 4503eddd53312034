#pragma once
/// The kernels that stand for the derivative of a step.

#include <ATen/core/Tensor.h>
#include <regulon/selection.h>

#include <cmath>

namespace regulon::ops::detail {

/// K(u) for |u| <= 1/2, as Selection::Kernel defines it.
inline double window_kernel(Selection::Kernel kernel, double u) {
  constexpr double kTurn = 6.283185307179586;  // 2 pi
  const double inside = 1 - 4 * u * u;
  switch (kernel) {
    case Selection::Kernel::box:
      return 1;
    case Selection::Kernel::triangle:
      return 2 - 4 * std::fabs(u);
    case Selection::Kernel::epanechnikov:
      return 1.5 * inside;
    case Selection::Kernel::quartic:
      return 1.875 * inside * inside;
    case Selection::Kernel::cosine:
      return 1 + std::cos(kTurn * u);
    case Selection::Kernel::gaussian:
      return 6 / std::sqrt(kTurn) * std::exp(-18 * u * u);
  }
  return 0;
}

/// [entries]: K(distance / window), 0 where a distance exceeds half the window. `distances` [entries],
/// contiguous, float or double.
at::Tensor window_kernel(Selection::Kernel kernel, const at::Tensor& distances, double window);

}  // namespace regulon::ops::detail
