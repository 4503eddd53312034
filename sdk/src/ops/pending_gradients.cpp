#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <fmt/format.h>
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

constexpr const char* kPendingRows = "PendingRows";

}  // namespace

struct PendingRows::Lists {
  Lists(std::vector<detail::RowSums> all, at::Tensor before)
      : parts(std::move(all)), start(std::move(before)), summer(parts, start) {}

  std::vector<detail::RowSums> parts;
  at::Tensor start;
  detail::RowSummer<float> summer;
};

const PendingRows::Lists& PendingRows::lists() const {
  if (empty()) {
    detail::fail(kPendingRows, "no gradient is pending", "rows", "none",
                 "Ask empty() first: the gradient is in grad() of the leaf, if it has one.");
  }
  return *lists_;
}

void PendingRows::visit(std::int64_t first,
                        const std::function<void(std::int64_t, const float*)>& use) const {
  const at::Tensor entries = detail::entries_before(lists().parts);
  const std::int64_t n = entries.size(0) - 1;
  if (first < 0 || first > n) {
    detail::fail(kPendingRows, "cannot visit the rows from there on", fmt::format("a row in [0, {}]", n),
                 fmt::format("{}", first), "Pass the first row that is wanted, 0 for all.");
  }
  const std::int64_t d = lists().summer.width();
  const std::int64_t row_bytes = std::max<std::int64_t>(1, detail::bytes_of_row<float>(d));
  const std::int64_t most = std::max<std::int64_t>(1, kBlockBytes / row_bytes);
  const at::Tensor work = entries + kUseCost * at::arange(n + 1, entries.options());
  const auto visit_some = [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t block = std::min(most, end - begin);
    std::vector<float> gradients(static_cast<std::size_t>(block * d));
    for (std::int64_t row = first + begin; row < first + end; row += block) {
      const std::int64_t count = std::min(block, first + end - row);
      float* const out = gradients.data();
      for (std::int64_t i = 0; i < count; ++i) lists().summer.sum_together(row + i, out + i * d);
      for (std::int64_t i = 0; i < count; ++i) use(row + i, out + i * d);
    }
  };
  detail::parallel_by_entries(work.const_data_ptr<std::int64_t>() + first, n - first, d, visit_some);
}

at::Tensor PendingRows::make() const { return detail::sum_all(lists().parts, lists().summer); }

struct PendingGradients::Leaf {
  at::Tensor tensor;
  detail::KeptSums sums;
};

PendingGradients::PendingGradients(const std::vector<at::Tensor>& leaves) {
  leaves_.reserve(leaves.size());
  for (const at::Tensor& leaf : leaves) {
    if (!leaf.defined()) {
      detail::fail("PendingGradients", fmt::format("cannot keep the gradient of leaves[{}]", leaves_.size()),
                   "a tensor", detail::text_of(leaf), "Leave out what is not there.");
    }
    leaves_.push_back({leaf, detail::KeptSums(leaf)});
    if (leaves_.back().sums.alone()) continue;
    detail::fail("PendingGradients",
                 fmt::format("cannot keep the gradient of leaves[{}]", leaves_.size() - 1),
                 "a leaf that no other PendingGradients has, and that comes once", detail::text_of(leaf),
                 "Give each leaf once, and let the other one end first.");
  }
}

PendingGradients::~PendingGradients() = default;

PendingRows PendingGradients::take(std::size_t index) {
  const at::Tensor& leaf = leaves_.at(index).tensor;
  std::vector<detail::RowSums> parts = leaves_[index].sums.take();
  if (parts.empty()) return {};
  at::Tensor& made = leaf.mutable_grad();
  const at::Tensor start = made.defined() ? made.contiguous() : made;
  const bool reads_leaves = std::any_of(parts.begin(), parts.end(), [&](const detail::RowSums& part) {
    return std::any_of(leaves_.begin(), leaves_.end(),
                       [&](const Leaf& other) { return part.matrix.is_alias_of(other.tensor); });
  });
  if (reads_leaves || leaf.scalar_type() != at::kFloat) {
    made = detail::sum_rows(parts, start);
    return {};
  }
  PendingRows rows;
  rows.lists_ = std::make_shared<const PendingRows::Lists>(std::move(parts), start);
  if (rows.lists_->summer.has_windows()) {
    made = rows.make();
    return {};
  }
  made = at::Tensor();
  return rows;
}

}  // namespace regulon::ops
