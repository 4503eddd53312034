#include <ATen/TensorOperators.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <regulon/ops.h>

#include "ops/gather.h"
#include "ops/support.h"

namespace regulon::ops {

at::Tensor leave_one_out(const Codes& codes, const at::Tensor& rows, const Dictionary& dictionary) {
  const at::NoGradGuard no_grad;
  const Dictionary plain = dictionary.detach();
  detail::check_like("leave_one_out", "rows", rows, {codes.rows(), plain.width()}, plain.weight());
  const at::Tensor residual = (rows - decode(codes, plain)).contiguous();
  const at::Tensor weight = plain.weight().contiguous();
  const at::Tensor squares = at::linalg_vector_norm(weight, 2, {1}).square();
  const at::Tensor reached = detail::dot_rows(codes.row_offsets(), codes.feature_ids(), residual, weight);
  return reached + codes.values().detach() * squares.index_select(0, codes.feature_ids());
}

Codes prune(const Codes& codes, const at::Tensor& rows, const Dictionary& dictionary, double above) {
  const at::Tensor kept = leave_one_out(codes, rows, dictionary).gt(above);
  const at::Tensor places = kept.nonzero().flatten();
  at::Tensor offsets = at::zeros({codes.rows() + 1}, codes.row_offsets().options());
  offsets.narrow(0, 1, codes.rows()).index_add_(0, codes.entry_rows(), kept.to(at::kLong));
  return Codes::sparse(codes.features(), offsets.cumsum(0), codes.feature_ids().index_select(0, places),
                       codes.values().index_select(0, places));
}

}  // namespace regulon::ops
