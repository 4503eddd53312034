#pragma once
/// The rows in which each feature is most strongly active.

#include <ATen/core/Tensor.h>
#include <regulon/codes.h>

#include <cstdint>
#include <vector>

#include "core/io/named_tensors.h"

namespace regulon::core {

/// Of each feature, its rows with the highest values.
struct FeatureRows {
  at::Tensor rows;    ///< [n, k] int64: from 0, in the order in which rows came, strongest first; -1: no more
  at::Tensor values;  ///< [n, k] float32; 0 where there is no more
  at::Tensor labels;  ///< [n, k] int64: the rows' labels, -1 where there is no more; undefined without labels
  at::Tensor frequency;  ///< [n] double: share of all rows in which the feature is active
};

/// Collects them batch by batch, O(active log k) each; memory n * k.
class FeatureRowsCollector {
 public:
  FeatureRowsCollector(std::int64_t features, std::int64_t k);
  /// Looks at the codes of the next rows; `labels` [B] int64 or undefined, in all calls or in none.
  void add(const Codes& codes, const at::Tensor& labels = {});
  FeatureRows result() const;

 private:
  struct Entry {
    float value;
    std::int64_t row;
    std::int64_t label;
  };
  /// Of equal values the earlier row.
  static bool before(const Entry& x, const Entry& y) {
    return x.value != y.value ? x.value > y.value : x.row < y.row;
  }
  void offer(std::vector<Entry>& best, const Entry& entry) const;

  std::int64_t k_;
  std::int64_t rows_ = 0;
  bool has_labels_ = false;
  std::vector<std::vector<Entry>> best_;  ///< [n], each a heap, the weakest on top
  std::vector<std::int64_t> counts_;      ///< [n]
};

/// Throws InputError unless the rows have labels that a vocabulary can be asked for.
void require_labels(const FeatureRows& found);

/// "rows", "values", "frequency", and "token_ids" if there are labels.
NamedTensors feature_rows_table(const FeatureRows& found);

}  // namespace regulon::core
