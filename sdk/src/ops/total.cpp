#include <ATen/TensorOperators.h>
#include <ATen/ops/scalar_tensor.h>
#include <regulon/sums.h>
#include <torch/csrc/autograd/custom_function.h>

#include "ops/gather.h"
#include "ops/support.h"

namespace regulon::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr const char* kTotal = "total";

struct Total final : torch::autograd::Function<Total> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& values, double scale) {
    context->saved_data["shape"] = values.sizes().vec();
    context->saved_data["scale"] = scale;
    return at::scalar_tensor(detail::total(values.contiguous().view(-1)) * scale,
                             values.options().requires_grad(false));
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    detail::refuse_double_backward(kTotal);
    const double scale = context->saved_data.at("scale").toDouble();
    return {(gradients[0] * scale).expand(context->saved_data.at("shape").toIntVector()), {}};
  }
};

at::Tensor scaled_total(const at::Tensor& values, double scale) {
  detail::check_floating(kTotal, "values", values, values.defined() ? values.dim() : 0);
  return Total::apply(values, scale);
}

}  // namespace

at::Tensor total(const at::Tensor& values) { return scaled_total(values, 1.0); }

at::Tensor mean(const at::Tensor& values) {
  if (values.defined() && values.numel() == 0)
    detail::fail("mean", "nothing has no mean", "at least one element", detail::text_of(values));
  return scaled_total(values, values.defined() ? 1.0 / static_cast<double>(values.numel()) : 1.0);
}

}  // namespace regulon::ops
