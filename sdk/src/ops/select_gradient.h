#pragma once
/// Gradients of listed entries: to the product's parts, and straight through to thresholds.

#include <regulon/codes.h>
#include <regulon/ops.h>

namespace regulon::ops::detail {

/// Entries as the forward found them.
struct Selected {
  Codes codes;        ///< over all n features, without gradient
  at::Tensor near;    ///< [entries]: the kernel at the score, 0 outside of the window; undefined without one
  double window = 0;  ///< width of the straight-through kernel
  at::Tensor edge;    ///< [n]: z at the threshold, what a code jumps by there; undefined without a window
  bool to_input = false;  ///< the straight-through gradient also reaches z
};

/// [n] thresholds of the selection: zeros if it has none.
at::Tensor full_thresholds(const Selection& selection, const at::Tensor& like, std::int64_t n);

/// The codes with gradient to the product and the thresholds. `rows` [B, d] is the input less its center.
Codes with_gradient(const Selected& selected, const Product& product, const at::Tensor& rows,
                    const at::Tensor& thresholds);

/// The same where the pre-activations [B, n] are there, with a gradient of their own.
Codes with_dense_gradient(const Selected& selected, const at::Tensor& z, const at::Tensor& thresholds);

}  // namespace regulon::ops::detail
