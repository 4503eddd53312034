#pragma once
/// Gradients of matrices whose rows are reached by listed entries: made at once, or with those of other
/// operations on the same rows.

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <regulon/codes.h>

#include "ops/gather.h"

namespace regulon::ops::detail {

/// For each feature the sum over its entries of `weights`, per entry, times rows of `matrix` [B, d].
RowSums gradient_by_feature(const Codes& codes, const at::Tensor& weights, const at::Tensor& matrix);

/// Where the gradients of `rows` meet if they come from `share_gradient`, to be kept from forward to
/// backward; else none.
at::IValue meeting_of(const at::Tensor& rows);

/// What a backward returns for its rows, of which this is the gradient: its sums, or nothing where they are
/// left to the meeting.
at::Tensor hand_in(const at::IValue& meeting, RowSums gradient);

}  // namespace regulon::ops::detail
