#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>
#include <regulon/gram.h>
#include <torch/csrc/autograd/custom_function.h>

#include "ops/support.h"
#include "ops/tiles.h"

namespace regulon::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr const char* kGram = "gram";
constexpr const char* kMatrixProduct = "matrix_product";

struct Gram final : torch::autograd::Function<Gram> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& rows) {
    context->save_for_backward({rows});
    return detail::tiled_product_value(rows.t(), rows);
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    detail::refuse_double_backward(kGram);
    const at::Tensor rows = context->get_saved_variables()[0];
    return {detail::tiled_product_value(rows, gradients[0] + gradients[0].t())};
  }
};

}  // namespace

at::Tensor gram(const at::Tensor& rows) {
  detail::check_floating(kGram, "rows", rows, 2);
  if (rows.size(0) == 0) return at::zeros({rows.size(1), rows.size(1)}, rows.options());
  return Gram::apply(rows);
}

at::Tensor matrix_product(const at::Tensor& a, const at::Tensor& b) {
  detail::check_floating(kMatrixProduct, "a", a, 2);
  detail::check_floating(kMatrixProduct, "b", b, 2);
  detail::check_like(kMatrixProduct, "b", b, {a.size(1), b.size(1)}, a);
  return detail::tiled_product(a, b);
}

}  // namespace regulon::ops
