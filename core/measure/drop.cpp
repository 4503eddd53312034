#include "core/measure/drop.h"

#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <regulon/ops.h>

#include <algorithm>
#include <vector>

namespace regulon::core {
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
  at::Tensor keep = at::zeros({codes.entries()}, at::kBool);
  bool* const keeps = keep.mutable_data_ptr<bool>();
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
    for (std::int64_t i = 0; i < left; ++i) keeps[entries[static_cast<std::size_t>(i)]] = true;
  }
  return ops::keep_entries(codes.detach(), keep);
}

Codes drop_features(const Codes& codes, const at::Tensor& dropped) {
  return ops::keep_entries(codes.detach(), dropped.logical_not().index_select(0, codes.feature_ids()));
}

}  // namespace regulon::core
