#include "activations/rank.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/where.h>

namespace regulon::detail {
namespace {

/// Costs below this share of their mean count as that share, so that what is free is not taken without end.
constexpr double kLeastPrice = 0.1;

}  // namespace

void Ranking::apply(const ActivationView& view, Selection& selection) const {
  if (rescale_) selection.score_scale = view.dictionary.norms();
  if (cost_mode_ == "subtract") {
    const at::Tensor shift = view.costs * cost_weight_;
    // The selection subtracts before it scales.
    selection.score_shift = rescale_ ? shift / selection.score_scale : shift;
  }
  if (cost_mode_ != "divide") return;
  const at::Tensor mean = view.costs.mean();
  const at::Tensor prices =
      at::clamp_min(at::where(mean > 0, view.costs / mean, view.costs + 1), kLeastPrice);
  selection.score_scale = rescale_ ? selection.score_scale / prices : prices.reciprocal();
  if (selection.family == Selection::Family::rank) selection.prices = prices;
}

}  // namespace regulon::detail
