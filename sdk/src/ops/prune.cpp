#include <ATen/TensorOperators.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <regulon/ops.h>

#include "ops/gather.h"
#include "ops/support.h"

namespace regulon::ops {

Codes keep_entries(const Codes& codes, const at::Tensor& keep) {
  const at::Tensor places = keep.nonzero().squeeze(1);
  at::Tensor offsets = at::zeros({codes.rows() + 1}, codes.row_offsets().options());
  offsets.narrow(0, 1, codes.rows()).index_add_(0, codes.entry_rows(), keep.to(at::kLong));
  return Codes::sparse(codes.features(), offsets.cumsum(0), codes.feature_ids().index_select(0, places),
                       codes.values().index_select(0, places));
}

at::Tensor leave_one_out(const Codes& codes, const at::Tensor& rows, const Dictionary& dictionary) {
  const at::NoGradGuard no_grad;
  const Dictionary plain = dictionary.detach();
  detail::check_like("leave_one_out", "rows", rows, {codes.rows(), plain.width()}, plain.weight());
  const at::Tensor residual = (rows - decode(codes, plain)).contiguous();
  const at::Tensor reached =
      detail::dot_rows(codes.row_offsets(), codes.feature_ids(), residual, plain.weight().contiguous());
  return reached + codes.values().detach() * plain.norms().square().index_select(0, codes.feature_ids());
}

Codes prune(const Codes& codes, const at::Tensor& rows, const Dictionary& dictionary, double above) {
  return keep_entries(codes, leave_one_out(codes, rows, dictionary).gt(above));
}

}  // namespace regulon::ops
