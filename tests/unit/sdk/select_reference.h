#pragma once
/// select_product, plain and slow: every pre-activation as defined, then the selection by sorting.

#include <regulon/ops.h>

#include <algorithm>
#include <limits>
#include <tuple>
#include <vector>

#include "ops_reference.h"

namespace regulon::test {

/// What should be listed: values [B, n], and which places are listed at all.
struct Listed {
  at::Tensor values;
  at::Tensor places;
};

inline at::Tensor defined_z(const ops::Product& product) {
  at::Tensor rows = product.input.detach();
  if (product.center.defined()) rows = rows - product.center.detach();
  const at::Tensor z = defined_products(rows, product.weight);
  return product.bias.defined() ? z + product.bias.detach() : z;
}

inline at::Tensor score_of(const Selection& selection, at::Tensor z) {
  if (selection.score_shift.defined()) z = z - selection.score_shift;
  if (selection.score_scale.defined()) z = z * selection.score_scale;
  return z;
}

/// Marks the `count` best of the allowed places of [first, last) rows: by score, then row, then feature.
inline void mark_best(const at::Tensor& score, const at::Tensor& allowed, std::int64_t first,
                      std::int64_t last, std::int64_t count, at::Tensor& places) {
  const at::Tensor wide = score.to(at::kDouble).contiguous();
  const at::Tensor may = allowed.contiguous();
  const std::int64_t n = score.size(1);
  std::vector<std::tuple<double, std::int64_t>> order;
  for (std::int64_t at = first * n; at < last * n; ++at) {
    if (may.data_ptr<bool>()[at]) order.emplace_back(-wide.data_ptr<double>()[at], at);
  }
  std::sort(order.begin(), order.end());
  order.resize(std::min(order.size(), static_cast<std::size_t>(count)));
  for (const auto& [unused, at] : order) places.data_ptr<bool>()[at] = true;
}

inline Listed reference(const ops::Product& product, const Selection& selection) {
  const at::Tensor z = defined_z(product);
  const std::int64_t rows = z.size(0);
  const std::int64_t n = z.size(1);
  const at::Tensor score = score_of(selection, z);
  at::Tensor may = at::ones({rows, n}, at::kBool);
  if (selection.only.defined()) may = at::zeros({rows, n}, at::kBool).index_fill(1, selection.only, true);
  at::Tensor active = (z > 0).logical_and(may);
  at::Tensor places = at::zeros({rows, n}, at::kBool);
  if (selection.family == Selection::Family::rank) {
    const std::int64_t k = std::min(selection.k, selection.only.defined() ? selection.only.size(0) : n);
    const bool by_row = selection.scope == Selection::Scope::row;
    for (std::int64_t row = 0; by_row && row < rows; ++row) mark_best(score, active, row, row + 1, k, places);
    if (!by_row) mark_best(score, active, 0, rows, k * rows, places);
    return {at::where(places, z, 0), places};
  }
  const at::Tensor thresholds =
      selection.thresholds.defined() ? selection.thresholds.detach() : at::zeros({1}, z.options());
  active = active.logical_and(score > thresholds);
  places = active;
  if (selection.window > 0) {
    places = places.logical_or(((score - thresholds).abs() <= selection.window / 2).logical_and(may));
  }
  return {at::where(active, z, 0), places};
}

/// Expects exactly the entries and bits of the reference.
inline void expect_listed(const Codes& codes, const Listed& expected) {
  ASSERT_EQ(codes.rows(), expected.values.size(0));
  ASSERT_EQ(codes.features(), expected.values.size(1));
  const Codes places = Codes::dense(expected.places.to(at::kFloat));
  ASSERT_TRUE(at::equal(codes.row_offsets(), places.row_offsets()));
  ASSERT_TRUE(at::equal(codes.feature_ids(), places.feature_ids()));
  ASSERT_TRUE(same_bits(codes.values(), expected.values.masked_select(expected.places)));
}

}  // namespace regulon::test
