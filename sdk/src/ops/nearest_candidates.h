#pragma once
/// Rows that could be the r-th nearest of one row, while a search goes on.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace regulon::ops::detail {

template <typename T>
class NearestCandidates {
 public:
  /// Takes (size, id) of another; `cut` rises to what is `margin` below the rank-th largest so far, and what
  /// falls below it is dropped now and then.
  void add(std::pair<T, std::int32_t> other, std::int64_t rank, T margin, T& cut) {
    held_.push_back(other);
    if (rank == 1) cut = std::max(cut, other.first - margin);
    if (std::ssize(held_) < limit_) return;
    if (rank > 1 && std::ssize(held_) >= rank) {
      std::nth_element(held_.begin(), held_.begin() + (rank - 1), held_.end(), std::greater<>());
      cut = std::max(cut, held_[static_cast<std::size_t>(rank - 1)].first - margin);
    }
    std::erase_if(held_, [cut](const auto& one) { return one.first < cut; });
    limit_ = std::max(limit_, 2 * std::max<std::ptrdiff_t>(std::ssize(held_), rank));
  }

  /// Their ids, ascending; to be called once, at the end.
  std::vector<std::int32_t>& sorted() {
    for (const auto& [size, id] : held_) others_.push_back(id);
    held_ = {};
    std::sort(others_.begin(), others_.end());
    return others_;
  }
  const std::vector<std::int32_t>& others() const { return others_; }

 private:
  std::vector<std::pair<T, std::int32_t>> held_;
  std::vector<std::int32_t> others_;
  std::ptrdiff_t limit_ = 16;
};

}  // namespace regulon::ops::detail
