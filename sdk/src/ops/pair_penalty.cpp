#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/scalar_tensor.h>
#include <regulon/pairs.h>
#include <torch/csrc/autograd/custom_function.h>

#include "ops/gather.h"
#include "ops/pair_cost.h"
#include "ops/support.h"

namespace regulon::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr const char* kPairPenalty = "pair_penalty";

struct WeightedPenalty final : torch::autograd::Function<WeightedPenalty> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& given, const at::Tensor& weights,
                            const PairPenalty& penalty) {
    const at::Tensor cosines = given.contiguous();
    at::Tensor costs = at::empty_like(cosines);
    at::Tensor slopes = at::empty_like(cosines);
    const detail::PairCost cost(penalty);
    detail::by_dtype(cosines, [&](auto zero) {
      using T = decltype(zero);
      const T* const cosine = cosines.const_data_ptr<T>();
      const T* const weight = weights.const_data_ptr<T>();
      T* const to = costs.mutable_data_ptr<T>();
      T* const slope = slopes.mutable_data_ptr<T>();
      at::parallel_for(0, cosines.numel(), grain_for(16), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t pair = begin; pair < end; ++pair) {
          const auto value = cost(static_cast<double>(cosine[pair]));
          to[pair] = static_cast<T>(value.cost) * weight[pair];
          slope[pair] = static_cast<T>(value.slope) * weight[pair];
        }
      });
    });
    context->save_for_backward({slopes});
    return at::scalar_tensor(detail::total(costs), cosines.options());
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    detail::refuse_double_backward(kPairPenalty);
    return {context->get_saved_variables()[0] * gradients[0], {}, {}};
  }
};

}  // namespace

at::Tensor pair_penalty(const at::Tensor& cosines, const at::Tensor& weights, const PairPenalty& penalty) {
  detail::check_floating(kPairPenalty, "cosines", cosines, 1);
  detail::check_like(kPairPenalty, "weights", weights, cosines.sizes(), cosines);
  detail::check_penalty(kPairPenalty, penalty);
  return WeightedPenalty::apply(cosines, weights.detach().contiguous(), penalty);
}

}  // namespace regulon::ops
