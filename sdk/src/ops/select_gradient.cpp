#include "ops/select_gradient.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gt.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>
#include <utility>

#include "ops/gather.h"
#include "ops/row_gradients.h"
#include "ops/select_check.h"
#include "ops/support.h"

namespace regulon::ops::detail {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

std::optional<at::Tensor> optional(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional<at::Tensor>(tensor) : std::nullopt;
}

/// 1 for active entries, 0 for near misses.
at::Tensor open_of(const Codes& codes) { return at::gt(codes.values(), 0).to(codes.values().scalar_type()); }

/// The values as a function returns them, and "open" where there is a window.
variable_list outputs_of(const Selected& selected) {
  variable_list outputs{selected.codes.values().tensor_data()};
  if (selected.near.defined()) outputs.push_back(open_of(selected.codes));
  return outputs;
}

Codes codes_of(const Selected& selected, const variable_list& outputs) {
  Codes codes = selected.codes.with_values(outputs[0]);
  return outputs.size() > 1 ? codes.with_channel("open", outputs[1]) : codes;
}

/// [entries]: what a threshold gets straight through from each entry, with the opposite sign (Rajamanoharan
/// et al. 2024, "Jumping Ahead"): the kernel K stands for the derivative of the step, so dvalue/dthreshold =
/// -edge * K / window and dopen/dthreshold = -K / window. Undefined where nothing comes.
at::Tensor through_window(const Selected& selected, const variable_list& gradients) {
  at::Tensor through;
  if (!selected.near.defined()) return through;
  if (gradients[0].defined()) {
    through = gradients[0] * selected.edge.index_select(0, selected.codes.feature_ids());
  }
  if (gradients[1].defined()) through = through.defined() ? through + gradients[1] : gradients[1];
  return through.defined() ? through * selected.near / selected.window : through;
}

/// Gradient to z: only active entries pass it, and what the window adds where it reaches z.
at::Tensor gradient_of_z(const Selected& selected, const variable_list& gradients) {
  const bool comes = gradients[0].defined();
  at::Tensor whole = comes ? gradients[0].contiguous() : at::zeros_like(selected.codes.values());
  if (comes && selected.near.defined()) whole = whole * open_of(selected.codes);
  if (!selected.to_input) return whole;
  const at::Tensor through = through_window(selected, gradients);
  return through.defined() ? whole + through : whole;
}

/// The sum over the entries of each feature, or of all for a threshold that they share.
at::Tensor gradient_of_thresholds(const Selected& selected, const variable_list& gradients,
                                  std::int64_t length) {
  const Codes& codes = selected.codes;
  const at::Tensor through = through_window(selected, gradients);
  const at::Tensor sum = through.defined() ? total_by_feature(codes, through).neg_()
                                           : at::zeros({codes.features()}, codes.values().options());
  return length == codes.features() ? sum : at::full({1}, total(sum), sum.options());
}

/// From the product's parts to the listed values, which are there already.
struct Select final : torch::autograd::Function<Select> {
  static variable_list forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight,
                               const std::optional<at::Tensor>& bias, const std::optional<at::Tensor>& center,
                               const std::optional<at::Tensor>& thresholds, const at::Tensor& rows,
                               const Selected& selected) {
    context->set_materialize_grads(false);
    context->save_for_backward({center.has_value() ? rows : input.contiguous(), weight.contiguous()});
    context->saved_data["selected"] = carry(selected);
    context->saved_data["meeting"] = meeting_of(weight);
    context->saved_data["bias"] = bias.has_value() && bias->requires_grad();
    context->saved_data["center"] = center.has_value() && center->requires_grad();
    const bool learns = thresholds.has_value() && thresholds->requires_grad();
    context->saved_data["thresholds"] = learns ? thresholds->size(0) : std::int64_t{0};
    return outputs_of(selected);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    refuse_double_backward(kSelectProduct);
    const variable_list saved = context->get_saved_variables();
    const auto selected = carried<Selected>(context->saved_data.at("selected"));
    const Codes& codes = selected.codes;
    const at::Tensor gradient = gradient_of_z(selected, gradients);
    variable_list result(7);
    if (context->needs_input_grad(0)) {
      result[0] = sum_rows({{codes.row_offsets(), codes.feature_ids(), gradient, saved[1]}});
    }
    if (context->needs_input_grad(1)) {
      result[1] = hand_in(context->saved_data.at("meeting"), gradient_by_feature(codes, gradient, saved[0]));
    }
    const bool center = context->saved_data.at("center").toBool();
    if (center || context->saved_data.at("bias").toBool()) {
      const at::Tensor of_bias = total_by_feature(codes, gradient);
      if (context->saved_data.at("bias").toBool()) result[2] = of_bias;
      if (center) result[3] = weighted_total(of_bias, saved[1]).neg_();
    }
    const std::int64_t thresholds = context->saved_data.at("thresholds").toInt();
    if (thresholds > 0) result[4] = gradient_of_thresholds(selected, gradients, thresholds);
    return result;
  }
};

/// From dense pre-activations to the listed values.
struct SelectDense final : torch::autograd::Function<SelectDense> {
  static variable_list forward(AutogradContext* context, const at::Tensor& /*z*/,
                               const std::optional<at::Tensor>& thresholds, const Selected& selected) {
    context->set_materialize_grads(false);
    context->saved_data["selected"] = carry(selected);
    const bool learns = thresholds.has_value() && thresholds->requires_grad();
    context->saved_data["thresholds"] = learns ? thresholds->size(0) : std::int64_t{0};
    return outputs_of(selected);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    refuse_double_backward(kSelectProduct);
    const auto selected = carried<Selected>(context->saved_data.at("selected"));
    variable_list result(3);
    if (context->needs_input_grad(0)) {
      result[0] = selected.codes.with_values(gradient_of_z(selected, gradients)).to_dense();
    }
    const std::int64_t thresholds = context->saved_data.at("thresholds").toInt();
    if (thresholds > 0) result[1] = gradient_of_thresholds(selected, gradients, thresholds);
    return result;
  }
};

}  // namespace

at::Tensor full_thresholds(const Selection& selection, const at::Tensor& like, std::int64_t n) {
  if (!selection.thresholds.defined()) return at::zeros({n}, like.options().requires_grad(false));
  return selection.thresholds.detach().expand({n}).contiguous();
}

Codes with_gradient(const Selected& selected, const Product& product, const at::Tensor& rows,
                    const at::Tensor& thresholds) {
  return codes_of(selected, Select::apply(product.input, product.weight, optional(product.bias),
                                          optional(product.center), optional(thresholds), rows, selected));
}

Codes with_dense_gradient(const Selected& selected, const at::Tensor& z, const at::Tensor& thresholds) {
  return codes_of(selected, SelectDense::apply(z, optional(thresholds), selected));
}

}  // namespace regulon::ops::detail
