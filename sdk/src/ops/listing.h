#pragma once
/// The three ways to choose what is listed, on top of candidates.

#include <ATen/core/Tensor.h>

#include <regulon/selection.h>

#include <cstdint>
#include <optional>

#include "ops/screen.h"
#include "ops/select_settings.h"

namespace regulon::ops::detail {

/// What is listed: compressed sparse rows over the screen's m features.
struct Listing {
  at::Tensor row_offsets;  ///< [B + 1] int64
  at::Tensor feature_ids;  ///< [entries] int32
  at::Tensor values;       ///< [entries]: z, or 0 for a near miss
  at::Tensor near;  ///< [entries]: the kernel at the score, 0 outside of the window; undefined without one
};

/// The k best of each row; with `prices` ([m] contiguous, or undefined) as many of the best as k pays for.
template <typename T>
Listing list_best_of_rows(const Screen<T>& screen, std::int64_t k, const at::Tensor& prices,
                          const SelectSettings& settings);

/// The B * k best of the batch; with `prices` as many of the best as B * k pays for.
template <typename T>
Listing list_best_of_batch(const Screen<T>& screen, std::int64_t k, const at::Tensor& prices,
                           const SelectSettings& settings);

/// Above thresholds ([m], contiguous), or within half the selection's window of them. Nothing if the first
/// rows list more than `densest` of their places.
template <typename T>
std::optional<Listing> list_above(const Screen<T>& screen, const at::Tensor& thresholds,
                                  const Selection& selection, double densest, const SelectSettings& settings);

/// Rows looked at before deciding that a batch is too dense.
inline constexpr std::int64_t kDensityRows = 256;

}  // namespace regulon::ops::detail
