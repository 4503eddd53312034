#pragma once
/// One gradient for rows that several operations use.

#include <ATen/core/Tensor.h>

namespace regulon::ops {

/// The same rows [n, d], whose gradient is summed once. Operations that reach single rows (`decode`,
/// `select_product`, `pair_cosines`) do not each make an [n, d] of their own from the result, which would be
/// added up afterwards: backward waits for all of them, and then sums each row over what all have for it, in
/// an order that depends on them alone. Any other use adds a gradient as usual. Without gradient: `rows`.
at::Tensor share_gradient(const at::Tensor& rows);

}  // namespace regulon::ops
