#include "core/measure/feature_rows.h"

#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <regulon/error.h>

#include <algorithm>

namespace regulon::core {

FeatureRowsCollector::FeatureRowsCollector(std::int64_t features, std::int64_t k)
    : k_(k), best_(static_cast<std::size_t>(features)), counts_(static_cast<std::size_t>(features)) {}

void FeatureRowsCollector::offer(std::vector<Entry>& best, const Entry& entry) const {
  if (static_cast<std::int64_t>(best.size()) == k_) {
    if (!before(entry, best.front())) return;
    std::pop_heap(best.begin(), best.end(), before);
    best.pop_back();
  }
  best.push_back(entry);
  std::push_heap(best.begin(), best.end(), before);
}

void FeatureRowsCollector::add(const Codes& codes, const at::Tensor& labels) {
  const at::NoGradGuard no_grad;
  const at::Tensor values = codes.values().detach().to(at::kFloat).contiguous();
  const at::Tensor names = labels.defined() ? labels.contiguous() : labels;
  has_labels_ = labels.defined();
  const std::int64_t* const label = has_labels_ ? names.const_data_ptr<std::int64_t>() : nullptr;
  const auto* const offsets = codes.row_offsets().const_data_ptr<std::int64_t>();
  const auto* const ids = codes.feature_ids().const_data_ptr<std::int32_t>();
  const auto* const value = values.const_data_ptr<float>();
  for (std::int64_t row = 0; row < codes.rows(); ++row) {
    for (std::int64_t entry = offsets[row]; entry < offsets[row + 1]; ++entry) {
      if (!(value[entry] > 0)) continue;
      const auto feature = static_cast<std::size_t>(ids[entry]);
      ++counts_[feature];
      offer(best_[feature], {value[entry], rows_ + row, label != nullptr ? label[row] : -1});
    }
  }
  rows_ += codes.rows();
}

FeatureRows FeatureRowsCollector::result() const {
  const auto features = static_cast<std::int64_t>(best_.size());
  FeatureRows found;
  found.rows = at::full({features, k_}, -1, at::kLong);
  found.values = at::zeros({features, k_}, at::kFloat);
  if (has_labels_) found.labels = at::full({features, k_}, -1, at::kLong);
  for (std::int64_t feature = 0; feature < features; ++feature) {
    std::vector<Entry> sorted = best_[static_cast<std::size_t>(feature)];
    std::sort(sorted.begin(), sorted.end(), before);
    for (std::size_t i = 0; i < sorted.size(); ++i) {
      const std::int64_t at = feature * k_ + static_cast<std::int64_t>(i);
      found.rows.mutable_data_ptr<std::int64_t>()[at] = sorted[i].row;
      found.values.mutable_data_ptr<float>()[at] = sorted[i].value;
      if (has_labels_) found.labels.mutable_data_ptr<std::int64_t>()[at] = sorted[i].label;
    }
  }
  found.frequency =
      at::tensor(counts_, at::kLong).to(at::kDouble) / static_cast<double>(std::max<std::int64_t>(rows_, 1));
  return found;
}

void require_labels(const FeatureRows& found) {
  if (found.labels.defined()) return;
  throw InputError({"--vocab", "there are no token ids to look up", "data files with `token_ids` [rows]",
                    "none beside the activations", "leave --vocab out, or take files that have them"});
}

NamedTensors feature_rows_table(const FeatureRows& found) {
  NamedTensors table = {{"rows", found.rows}, {"values", found.values}, {"frequency", found.frequency}};
  if (found.labels.defined()) table.emplace_back("token_ids", found.labels);
  return table;
}

}  // namespace regulon::core
