#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gt.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/scalar_tensor.h>
#include <regulon/ops.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "ops/gather.h"
#include "ops/support.h"

namespace regulon::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr const char* kWeightedSum = "weighted_sum";

/// weights[feature] of each entry.
at::Tensor by_entry(const at::Tensor& weights, const Codes& pattern) {
  return weights.index_select(0, pattern.feature_ids());
}

struct WeightedSum final : torch::autograd::Function<WeightedSum> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& values,
                            const std::optional<at::Tensor>& weights, const Codes& pattern) {
    context->saved_data["pattern"] = detail::carry(pattern);
    variable_list saved{values};
    at::Tensor weighted = values;
    if (weights.has_value()) {
      saved.push_back(*weights);
      weighted = values * by_entry(*weights, pattern);
    }
    context->save_for_backward(saved);
    return at::scalar_tensor(detail::total(weighted), values.options());
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    detail::refuse_double_backward(kWeightedSum);
    const variable_list saved = context->get_saved_variables();
    const auto pattern = detail::carried<Codes>(context->saved_data.at("pattern"));
    variable_list result(3);
    if (saved.size() == 1) {
      result[0] = gradients[0].expand_as(saved[0]).contiguous();
      return result;
    }
    if (context->needs_input_grad(0)) result[0] = by_entry(saved[1], pattern) * gradients[0];
    if (context->needs_input_grad(1)) result[1] = detail::total_by_feature(pattern, saved[0]) * gradients[0];
    return result;
  }
};

/// The same of dense codes: their column sums, times the weights.
struct DenseWeightedSum final : torch::autograd::Function<DenseWeightedSum> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& dense, const at::Tensor& weights) {
    const at::Tensor columns = detail::weighted_total({}, dense);
    context->save_for_backward({columns, weights});
    context->saved_data["rows"] = dense.size(0);
    return at::scalar_tensor(detail::total(columns * weights), dense.options());
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    detail::refuse_double_backward(kWeightedSum);
    const variable_list saved = context->get_saved_variables();
    const std::int64_t rows = context->saved_data.at("rows").toInt();
    variable_list result(2);
    if (context->needs_input_grad(0)) {
      result[0] = (saved[1] * gradients[0]).unsqueeze(0).expand({rows, saved[1].size(0)});
    }
    if (context->needs_input_grad(1)) result[1] = saved[0] * gradients[0];
    return result;
  }
};

}  // namespace

at::Tensor weighted_sum(const Codes& codes, const at::Tensor& weights) {
  const at::Tensor& held = codes.is_sparse() ? codes.values() : codes.to_dense();
  detail::check_floating(kWeightedSum, "the codes", held, codes.is_sparse() ? 1 : 2);
  if (weights.defined()) detail::check_like(kWeightedSum, "weights", weights, {codes.features()}, held);
  if (codes.is_sparse()) {
    const auto given = weights.defined() ? std::optional<at::Tensor>(weights) : std::nullopt;
    return WeightedSum::apply(held, given, codes.detach());
  }
  const at::Tensor all = weights.defined() ? weights : at::ones({codes.features()}, held.options());
  return DenseWeightedSum::apply(held, all);
}

at::Tensor feature_counts(const Codes& codes) {
  const at::Tensor held = (codes.is_sparse() ? codes.values() : codes.to_dense()).detach();
  detail::check_floating("feature_counts", "the codes", held, codes.is_sparse() ? 1 : 2);
  const at::Tensor active = at::gt(held, 0);
  if (!codes.is_sparse()) return active.sum(0, /*keepdim=*/false, at::kLong);
  // Exact: a double counts to 2^53.
  return detail::total_by_feature(codes, active.to(at::kDouble)).to(at::kLong);
}

at::Tensor feature_sums(const Codes& codes) {
  const at::Tensor held = (codes.is_sparse() ? codes.values() : codes.to_dense()).detach();
  detail::check_floating("feature_sums", "the codes", held, codes.is_sparse() ? 1 : 2);
  return codes.is_sparse() ? detail::total_by_feature(codes, held) : detail::weighted_total({}, held);
}

}  // namespace regulon::ops
