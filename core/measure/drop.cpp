#include "core/measure/drop.h"

#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <vector>

namespace regulon::core {
namespace {

/// Codes of the entries for which `keeps` [entries] is true.
Codes kept_entries(const Codes& codes, const at::Tensor& values, const std::vector<bool>& keeps) {
  const auto* const offsets = codes.row_offsets().const_data_ptr<std::int64_t>();
  std::vector<std::int64_t> kept;
  std::vector<std::int64_t> ends = {0};
  for (std::int64_t row = 0; row < codes.rows(); ++row) {
    for (std::int64_t entry = offsets[row]; entry < offsets[row + 1]; ++entry)
      if (keeps[static_cast<std::size_t>(entry)]) kept.push_back(entry);
    ends.push_back(static_cast<std::int64_t>(kept.size()));
  }
  const at::Tensor which = at::tensor(kept, at::kLong);
  return Codes::sparse(codes.features(), at::tensor(ends, at::kLong),
                       codes.feature_ids().index_select(0, which), values.index_select(0, which));
}

}  // namespace

Codes drop_weakest(const Codes& codes, const at::Tensor& norms, std::int64_t k) {
  const at::NoGradGuard no_grad;
  const at::Tensor values = codes.values().detach();
  const at::Tensor sizes =
      (values.to(at::kDouble) * norms.to(at::kDouble).index({codes.feature_ids().to(at::kLong)}))
          .contiguous();
  const at::Tensor is_active = (values > 0).contiguous();
  const bool* const active = is_active.const_data_ptr<bool>();
  const double* const size = sizes.const_data_ptr<double>();
  const auto* const offsets = codes.row_offsets().const_data_ptr<std::int64_t>();
  std::vector<bool> keeps(static_cast<std::size_t>(codes.entries()));
  std::vector<std::int64_t> entries;
  for (std::int64_t row = 0; row < codes.rows(); ++row) {
    entries.clear();
    for (std::int64_t entry = offsets[row]; entry < offsets[row + 1]; ++entry)
      if (active[entry]) entries.push_back(entry);
    const std::int64_t left = static_cast<std::int64_t>(entries.size()) - k;
    if (left <= 0) continue;
    std::nth_element(
        entries.begin(), entries.begin() + left, entries.end(),
        [&](std::int64_t x, std::int64_t y) { return size[x] != size[y] ? size[x] > size[y] : x < y; });
    for (std::int64_t i = 0; i < left; ++i)
      keeps[static_cast<std::size_t>(entries[static_cast<std::size_t>(i)])] = true;
  }
  return kept_entries(codes, values, keeps);
}

Codes drop_features(const Codes& codes, const at::Tensor& dropped) {
  const at::NoGradGuard no_grad;
  const at::Tensor goes = dropped.index({codes.feature_ids().to(at::kLong)}).contiguous();
  const bool* const go = goes.const_data_ptr<bool>();
  std::vector<bool> keeps(static_cast<std::size_t>(codes.entries()));
  for (std::size_t entry = 0; entry < keeps.size(); ++entry) keeps[entry] = !go[entry];
  return kept_entries(codes, codes.values().detach(), keeps);
}

}  // namespace regulon::core
