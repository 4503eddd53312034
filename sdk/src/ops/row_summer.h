#pragma once
/// Adds up the rows of `RowSums`: all of them, or one at a time.

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "kernel_table.h"
#include "ops/cache_windows.h"
#include "ops/gather.h"
#include "ops/support.h"

namespace regulon::ops::detail {

/// [items + 1]: how many entries `parts` (at least one, of the same items) have before each item.
inline at::Tensor entries_before(const std::vector<RowSums>& parts) {
  at::Tensor before = parts[0].offsets;
  for (std::size_t p = 1; p < parts.size(); ++p) before = before + parts[p].offsets;
  return before;
}

/// The rows of `parts` and `start`, as `sum_rows` has them; both are to outlive this.
template <typename T>
class RowSummer {
 public:
  RowSummer(const std::vector<RowSums>& parts, const at::Tensor& start)
      : d_(parts[0].matrix.size(1)),
        start_(start.defined() ? start.const_data_ptr<T>() : nullptr),
        start_step_(start.defined() && start.dim() == 2 ? d_ : 0) {
    const std::int64_t items = parts[0].offsets.size(0) - 1;
    for (const RowSums& part : parts) {
      const std::int64_t* const offsets = part.offsets.const_data_ptr<std::int64_t>();
      const std::int32_t* const ids = part.ids.const_data_ptr<std::int32_t>();
      Part made{offsets, ids, part.weights.const_data_ptr<T>(), part.matrix.const_data_ptr<T>(),
                CacheWindows(offsets, ids, items, part.matrix.size(0), bytes_of_row<T>(d_))};
      (made.windows.several() ? windowed_ : together_).push_back(std::move(made));
    }
  }

  std::int64_t width() const { return d_; }  ///< d

  /// Whether a part is quicker when all items are gone through several times.
  bool has_windows() const { return !windowed_.empty(); }

  /// Writes rows [begin, end) of `out` [items, d]: first what several parts have for an item, whose sum stays
  /// in cache from one to the next, then the parts that go by windows.
  void sum(std::int64_t begin, std::int64_t end, T* out) const {
    if (!together_.empty()) {
      for (std::int64_t item = begin; item < end; ++item) sum_together(item, out + item * d_);
    }
    for (const Part& part : windowed_) {
      const bool first = together_.empty() && &part == windowed_.data();
      part.windows.visit(begin, end, [&](std::int64_t item, std::int64_t e, std::int64_t last, bool anew) {
        add(part, item, e, last, first && anew, out + item * d_);
      });
    }
  }

  /// Writes the row of one item to `out` [d], if there are no windows.
  void sum_together(std::int64_t item, T* out) const {
    for (const Part& part : together_)
      add(part, item, part.offsets[item], part.offsets[item + 1], &part == together_.data(), out);
  }

 private:
  struct Part {
    const std::int64_t* offsets;
    const std::int32_t* ids;
    const T* weights;
    const T* matrix;
    CacheWindows windows;
  };

  void add(const Part& part, std::int64_t item, std::int64_t e, std::int64_t last, bool anew, T* out) const {
    const T* const before = !anew ? out : start_ == nullptr ? nullptr : start_ + item * start_step_;
    kernels_.gather_sum(part.weights + e, part.ids + e, last - e, part.matrix, d_, before, out);
  }

  const KernelTable<T>& kernels_ = best_kernels<T>();
  std::int64_t d_;
  const T* start_;
  std::int64_t start_step_;  ///< from an item's start to the next one's: 0 where all have the same
  std::vector<Part> together_;
  std::vector<Part> windowed_;
};

/// All rows of `parts`, which `summer` was made of: [items, d].
template <typename T>
at::Tensor sum_all(const std::vector<RowSums>& parts, const RowSummer<T>& summer) {
  const at::Tensor work = entries_before(parts);
  const std::int64_t items = work.size(0) - 1;
  at::Tensor out = at::empty({items, summer.width()}, parts[0].matrix.options().requires_grad(false));
  T* const to = out.mutable_data_ptr<T>();
  parallel_by_entries(work.const_data_ptr<std::int64_t>(), items, summer.width(),
                      [&](std::int64_t begin, std::int64_t end) { summer.sum(begin, end, to); });
  return out;
}

}  // namespace regulon::ops::detail
