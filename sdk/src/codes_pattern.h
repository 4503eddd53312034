#pragma once
/// Which entries some codes have: what copies of the codes with other values share.

#include <ATen/core/Tensor.h>
#include <regulon/codes.h>

#include <cstdint>
#include <memory>
#include <mutex>

namespace regulon {

/// The places of the listed entries, and their transpose. Immutable but for what is made on first use.
class Pattern {
 public:
  /// Shapes and dtypes as Codes::sparse; contiguous.
  Pattern(std::int64_t features, at::Tensor row_offsets, at::Tensor feature_ids);
  /// The entries of a matrix [B, n] that are not zero.
  static std::shared_ptr<const Pattern> of(const at::Tensor& dense);

  const at::Tensor& row_offsets() const { return row_offsets_; }  ///< [B + 1] int64
  const at::Tensor& feature_ids() const { return feature_ids_; }  ///< [entries] int32
  const FeatureOrder& by_feature() const;
  const at::Tensor& entry_rows() const;

  /// [B, n]: zeros, and each entry's value in its place.
  at::Tensor scatter(const at::Tensor& values) const;
  /// [entries]: what stands in `dense` [B, n] in each entry's place.
  at::Tensor gather(const at::Tensor& dense) const;

 private:
  std::int64_t features_;
  at::Tensor row_offsets_;
  at::Tensor feature_ids_;
  mutable std::once_flag order_made_;
  mutable FeatureOrder order_;
  mutable std::once_flag rows_made_;
  mutable at::Tensor entry_rows_;
};

/// The transpose of `ids` [entries], each below `features`: a counting sort, stable, the same for every
/// number of threads. `rows` [entries] int32 goes along.
FeatureOrder sort_by_feature(std::int64_t features, const at::Tensor& ids, const at::Tensor& rows);

}  // namespace regulon
