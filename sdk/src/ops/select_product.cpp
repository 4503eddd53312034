#include "ops/select_product.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "ops/listing.h"
#include "ops/select_check.h"
#include "ops/select_dense.h"
#include "ops/select_gradient.h"
#include "ops/select_stopwatch.h"
#include "ops/support.h"

namespace regulon::ops {
namespace detail {
namespace {

/// What the selection's features have of `tensor`: by feature, undefined or not; without gradient.
at::Tensor chosen(const at::Tensor& tensor, const at::Tensor& only) {
  if (!tensor.defined()) return tensor;
  const at::Tensor plain = tensor.detach();
  return only.defined() ? plain.index_select(0, only) : plain.contiguous();
}

at::Tensor centered(const Product& product) {
  const at::Tensor input = product.input.detach().contiguous();
  return product.center.defined() ? at::sub(input, product.center.detach()) : input;
}

/// The quickest screen that the selection allows.
template <typename T>
std::unique_ptr<Screen<T>> make_screen(const Operands& operands, Selection::Precision precision) {
  if constexpr (std::is_same_v<T, float>) {
    const HalfKernels& half = half_kernels().front();
    const bool pays = half.fast && operands.rows.size(0) >= kHalfRows && operands.rows.size(1) >= kHalfWidth;
    if (precision == Selection::Precision::bfloat16 ||
        (precision == Selection::Precision::automatic && pays)) {
      return std::make_unique<HalfScreen>(operands, half);
    }
  }
  return std::make_unique<FullScreen<T>>(operands);
}

/// The listing over the chosen features, or nothing where the batch is too dense to be listed.
template <typename T>
std::optional<Listing> list(const Operands& operands, const Selection& selection,
                            const at::Tensor& thresholds, const SelectSettings& settings) {
  const std::unique_ptr<Screen<T>> held = [&] {
    const SelectStopwatch watch(selection.times, &SelectTimes::product, at::get_num_threads());
    return make_screen<T>(operands, selection.precision);
  }();
  const Screen<T>& screen = *held;
  if (selection.family == Selection::Family::rank) {
    const bool by_row = selection.scope == Selection::Scope::row;
    const at::Tensor prices = chosen(selection.prices, selection.only);
    return by_row ? list_best_of_rows(screen, selection.k, prices, settings)
                  : list_best_of_batch(screen, selection.k, prices, settings);
  }
  const bool may_be_dense = !selection.only.defined() && !screen.any_wild();
  return list_above(screen, chosen(thresholds, selection.only), selection, may_be_dense ? kDenseAbove : 1.0,
                    settings);
}

/// Ids among the chosen features become ids among all.
void rename_features(const at::Tensor& only, at::Tensor& ids) {
  if (!only.defined()) return;
  const at::Tensor names = only.contiguous();
  const std::int64_t* const name = names.const_data_ptr<std::int64_t>();
  std::int32_t* const id = ids.mutable_data_ptr<std::int32_t>();
  at::parallel_for(0, ids.size(0), kWorthAThread, [&](std::int64_t e, std::int64_t end) {
    for (; e < end; ++e) id[e] = static_cast<std::int32_t>(name[id[e]]);
  });
}

Listing empty_listing(const at::Tensor& rows, double window) {
  const at::Tensor nothing = at::empty({0}, rows.options());
  return {at::zeros({rows.size(0) + 1}, at::kLong), at::empty({0}, at::kInt), nothing,
          window > 0 ? nothing : at::Tensor()};
}

}  // namespace

Codes select_product(const Product& product, const Selection& selection, const SelectSettings& settings) {
  check_select_product(product, selection);
  const std::int64_t n = product.weight.size(0);
  const bool by_threshold = selection.family == Selection::Family::threshold;
  const double window = by_threshold ? selection.window : 0;
  Operands operands;
  at::Tensor thresholds;
  std::optional<Listing> listing;
  {
    const c10::NoGradGuard no_gradient;
    operands = {centered(product),
                chosen(product.weight, selection.only),
                chosen(product.bias, selection.only),
                chosen(selection.score_shift, selection.only),
                chosen(selection.score_scale, selection.only),
                selection.times};
    thresholds = by_threshold ? full_thresholds(selection, operands.rows, n) : at::Tensor();
    if (operands.rows.size(0) == 0 || operands.weight.size(0) == 0) {
      listing = empty_listing(operands.rows, window);
    } else {
      listing = by_dtype(operands.rows, [&](auto zero) {
        return list<decltype(zero)>(operands, selection, thresholds, settings);
      });
    }
  }
  if (!listing) return select_dense(product, selection);
  rename_features(selection.only, listing->feature_ids);
  Selected selected{Codes::sparse(n, listing->row_offsets, listing->feature_ids, listing->values),
                    listing->near, window, window > 0 ? threshold_edges(selection, thresholds) : at::Tensor(),
                    selection.window_to_input};
  return with_gradient(selected, product, operands.rows, by_threshold ? selection.thresholds : at::Tensor());
}

}  // namespace detail

at::Tensor threshold_edges(const Selection& selection, const at::Tensor& thresholds) {
  at::Tensor edges = thresholds;
  if (selection.score_scale.defined()) edges = edges / selection.score_scale.detach();
  if (selection.score_shift.defined()) edges = edges + selection.score_shift.detach();
  return edges;
}

Codes select_product(const Product& product, const Selection& selection) {
  return detail::select_product(product, selection, {});
}

}  // namespace regulon::ops
