#pragma once
/// Sums of everything, whose order is fixed.

#include <ATen/core/Tensor.h>

namespace regulon::ops {

/// The sum of all elements of `values`, of any shape, float or double, on the CPU: a scalar of that dtype,
/// with gradient. In double and in blocks of a fixed size, so that the number of threads does not show in it,
/// which it does in `values.sum()` from 32,768 elements on. Throws RunError on another dtype or device.
at::Tensor total(const at::Tensor& values);

/// The mean of all elements likewise. Throws RunError if there are none.
at::Tensor mean(const at::Tensor& values);

}  // namespace regulon::ops
