#pragma once
/// Gradients of matrices whose rows are reached by listed entries: made at once, or with those of other
/// operations on the same rows.

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <regulon/codes.h>

namespace regulon::ops::detail {

/// A gradient [n, d] that is not made yet: row i is the sum over the entries e of i of
/// weights[e] * matrix[ids[e]], as in `sum_rows`.
struct RowGradient {
  at::Tensor offsets;  ///< [n + 1] int64
  at::Tensor ids;      ///< [entries] int32
  at::Tensor weights;  ///< [entries]
  at::Tensor matrix;   ///< [m, d]
};

/// For each feature the sum over its entries of `weights`, per entry, times rows of `matrix` [B, d].
RowGradient gradient_by_feature(const Codes& codes, const at::Tensor& weights, const at::Tensor& matrix);

/// Where the gradients of `rows` meet if they come from `share_gradient`, to be kept from forward to
/// backward; else none.
at::IValue meeting_of(const at::Tensor& rows);

/// What a backward returns for its rows: the gradient, or nothing where it is left to their meeting.
at::Tensor hand_in(const at::IValue& meeting, RowGradient gradient);

}  // namespace regulon::ops::detail
