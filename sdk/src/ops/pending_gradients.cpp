#include <ATen/ops/arange.h>
#include <regulon/pending_gradients.h>

#include <algorithm>
#include <utility>

#include "ops/row_gradients.h"
#include "ops/row_summer.h"
#include "ops/support.h"

namespace regulon::ops {
namespace {

/// What using a row costs, in entries: an optimiser reads and writes it in several arrays.
constexpr std::int64_t kUseCost = 8;
/// Rows that are summed before they are used: the processor sees longer runs of either, and they stay in the
/// cache of one core.
constexpr std::int64_t kBlockBytes = std::int64_t{1} << 16;

}  // namespace

struct PendingRows::Lists {
  Lists(std::vector<detail::RowSums> all, at::Tensor before)
      : parts(std::move(all)), start(std::move(before)), summer(parts, start) {}

  std::vector<detail::RowSums> parts;
  at::Tensor start;
  detail::RowSummer<float> summer;
};

void PendingRows::visit(std::int64_t first,
                        const std::function<void(std::int64_t, const float*)>& use) const {
  const std::int64_t d = lists_->parts[0].matrix.size(1);
  const at::Tensor entries = detail::entries_before(lists_->parts);
  const at::Tensor work = entries + kUseCost * at::arange(entries.size(0), entries.options());
  detail::parallel_by_entries(work.const_data_ptr<std::int64_t>() + first, work.size(0) - 1 - first, d,
                              [&](std::int64_t begin, std::int64_t end) {
                                std::vector<float> gradient(static_cast<std::size_t>(d));
                                for (std::int64_t row = first + begin; row < first + end; ++row) {
                                  lists_->summer.sum_together(row, gradient.data());
                                  use(row, gradient.data());
                                }
                              });
}

struct PendingGradients::Leaf {
  at::Tensor tensor;
  detail::KeptSums sums;
};

PendingGradients::PendingGradients(std::vector<at::Tensor> leaves) {
  leaves_.reserve(leaves.size());
  for (at::Tensor& leaf : leaves) leaves_.push_back({leaf, detail::KeptSums(leaf)});
}

PendingGradients::~PendingGradients() = default;

bool PendingGradients::may_wait(const at::Tensor& leaf, const std::vector<detail::RowSums>& parts) const {
  const auto is_of_a_leaf = [&](const detail::RowSums& part) {
    return std::any_of(leaves_.begin(), leaves_.end(),
                       [&](const Leaf& other) { return part.matrix.is_alias_of(other.tensor); });
  };
  return leaf.scalar_type() == at::kFloat && std::none_of(parts.begin(), parts.end(), is_of_a_leaf);
}

PendingRows PendingGradients::take(std::size_t index) {
  const at::Tensor& leaf = leaves_.at(index).tensor;
  std::vector<detail::RowSums> parts = leaves_[index].sums.take();
  if (parts.empty()) return {};
  at::Tensor& made = leaf.mutable_grad();
  const at::Tensor start = made.defined() ? made.contiguous() : made;
  PendingRows rows;
  if (may_wait(leaf, parts)) rows.lists_ = std::make_shared<const PendingRows::Lists>(parts, start);
  if (rows.empty() || rows.lists_->summer.has_windows()) {
    made = detail::sum_rows(parts, start);
    return {};
  }
  made = at::Tensor();
  return rows;
}

}  // namespace regulon::ops
