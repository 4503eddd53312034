#include "ops/select_dense.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/gt.h>
#include <ATen/ops/le.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/where.h>
#include <c10/core/GradMode.h>

#include "codes_pattern.h"
#include "ops/select_gradient.h"
#include "ops/tiles.h"
#include "ops/window_kernel.h"

namespace regulon::ops::detail {
namespace {

at::Tensor pre_activations(const Product& product) {
  at::Tensor input = product.input;
  if (product.center.defined()) input = add_row(input, product.center.neg());
  const at::Tensor z = tiled_product(input, product.weight.t());
  return product.bias.defined() ? add_row(z, product.bias) : z;
}

at::Tensor score_of(const Selection& selection, at::Tensor z) {
  if (selection.score_shift.defined()) z = z - selection.score_shift.detach();
  if (selection.score_scale.defined()) z = z * selection.score_scale.detach();
  return z;
}

}  // namespace

Codes select_dense(const Product& product, const Selection& selection) {
  const at::Tensor z = pre_activations(product);
  const bool scored = selection.score_shift.defined() || selection.score_scale.defined();
  if (selection.window == 0 && !scored && !selection.thresholds.defined()) return Codes::dense(at::relu(z));

  const at::Tensor plain = z.detach();
  const at::Tensor score = score_of(selection, plain);
  const at::Tensor thresholds = full_thresholds(selection, z, z.size(1));
  const at::Tensor active = (score > thresholds).logical_and_(plain > 0);
  if (selection.window == 0) return Codes::dense(at::where(active, z, 0));

  const at::Tensor distance = score - thresholds;
  const at::Tensor listed = (distance.abs() <= selection.window / 2).logical_or_(active);
  const auto pattern = Pattern::of(listed.to(z.scalar_type()));
  Selected selected{Codes::sparse(z.size(1), pattern->row_offsets(), pattern->feature_ids(),
                                  pattern->gather(at::where(active, plain, 0))),
                    window_kernel(selection.kernel, pattern->gather(distance), selection.window),
                    selection.window, threshold_edges(selection, thresholds), selection.window_to_input};
  return with_dense_gradient(selected, z, selection.thresholds);
}

}  // namespace regulon::ops::detail
