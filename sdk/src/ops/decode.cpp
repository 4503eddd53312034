#include <regulon/ops.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "ops/gather.h"
#include "ops/row_gradients.h"
#include "ops/support.h"
#include "ops/tiles.h"

namespace regulon::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr const char* kDecode = "decode";

std::optional<at::Tensor> optional(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional<at::Tensor>(tensor) : std::nullopt;
}

/// Decoding of sparse codes; `pattern` has their places, and values without gradient.
struct Decode final : torch::autograd::Function<Decode> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& values, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias, const Codes& pattern) {
    const at::Tensor rows = weight.contiguous();
    context->save_for_backward({values, rows});
    context->saved_data["pattern"] = detail::carry(pattern);
    context->saved_data["meeting"] = detail::meeting_of(weight);
    context->saved_data["bias"] = bias.has_value();
    const at::Tensor start = bias.has_value() ? bias->contiguous() : at::Tensor();
    return detail::sum_rows({{pattern.row_offsets(), pattern.feature_ids(), values, rows}}, start);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    detail::refuse_double_backward(kDecode);
    const variable_list saved = context->get_saved_variables();
    const Codes pattern = detail::carried<Codes>(context->saved_data.at("pattern"));
    const at::Tensor gradient = gradients[0].contiguous();
    variable_list result(4);
    if (context->needs_input_grad(0)) {
      result[0] = detail::dot_rows(pattern.row_offsets(), pattern.feature_ids(), gradient, saved[1]);
    }
    if (context->needs_input_grad(1)) {
      result[1] = detail::hand_in(context->saved_data.at("meeting"),
                                  detail::gradient_by_feature(pattern, saved[0], gradient));
    }
    const bool has_bias = context->saved_data.at("bias").toBool();
    if (has_bias && context->needs_input_grad(2)) result[2] = detail::weighted_total({}, gradient);
    return result;
  }
};

bool prefers_dense(const Codes& codes) {
  if (!codes.is_sparse()) return true;
  const auto places = static_cast<double>(codes.rows()) * static_cast<double>(codes.features());
  return static_cast<double>(codes.entries()) > kDenseAbove * places;
}

}  // namespace

at::Tensor decode(const Codes& codes, const at::Tensor& weight, const at::Tensor& bias) {
  detail::check_floating(kDecode, "weight", weight, 2);
  const std::int64_t d = weight.size(1);
  detail::check_like(kDecode, "weight", weight, {codes.features(), d}, weight);
  if (bias.defined()) detail::check_like(kDecode, "bias", bias, {d}, weight);
  if (prefers_dense(codes)) {
    const at::Tensor& dense = codes.to_dense();
    detail::check_like(kDecode, "the codes", dense, {codes.rows(), codes.features()}, weight);
    const at::Tensor product = detail::tiled_product(dense, weight);
    return bias.defined() ? detail::add_row(product, bias) : product;
  }
  detail::check_like(kDecode, "the codes' values", codes.values(), {codes.entries()}, weight);
  return Decode::apply(codes.values(), weight, optional(bias), codes.detach());
}

at::Tensor decode(const Codes& codes, const Dictionary& dictionary) {
  return decode(codes, dictionary.weight(), dictionary.bias());
}

}  // namespace regulon::ops
