#pragma once
/// Rows that could be the r-th nearest of one row, while a search goes on.

#include <regulon/pairs.h>

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
  /// falls below it is dropped now and then. Where too many are left, they are told apart by their exact
  /// sizes, which `exact(ids)` says in the same order: memory stays bounded whatever ties.
  template <typename Exact>
  void add(std::pair<T, std::int32_t> other, std::int64_t rank, T margin, T& cut, const Exact& exact) {
    held_.push_back(other);
    if (rank == 1) cut = std::max(cut, other.first - margin);
    if (std::ssize(held_) < limit_) return;
    if (rank > 1 && std::ssize(held_) >= rank) {
      std::nth_element(held_.begin(), held_.begin() + (rank - 1), held_.end(), std::greater<>());
      cut = std::max(cut, held_[static_cast<std::size_t>(rank - 1)].first - margin);
    }
    std::erase_if(held_, [cut](const auto& one) { return one.first < cut; });
    if (std::ssize(held_) >= std::max<std::ptrdiff_t>(kMostHeld, 4 * rank)) settle(rank, exact);
    limit_ = std::max(limit_, 2 * std::max<std::ptrdiff_t>(std::ssize(held_), rank));
  }

  /// Leaves those of exactly the wanted size, ascending, and of these the first kMostTies. If `needs_size`,
  /// what is of size zero does not count. To be called once, at the end.
  template <typename Exact>
  void decide(std::int64_t rank, bool needs_size, const Exact& exact) {
    std::vector<std::pair<T, std::int32_t>> ranked = rank_exactly(exact);
    held_ = {};
    if (needs_size) std::erase_if(ranked, [](const auto& one) { return one.first == 0; });
    if (ranked.empty()) return;
    const T wanted = wanted_of(ranked, rank);
    for (const auto& [size, id] : ranked) {
      if (size == wanted && std::ssize(others_) < kMostTies) others_.push_back(id);
    }
  }
  const std::vector<std::int32_t>& others() const { return others_; }

 private:
  static constexpr std::ptrdiff_t kMostHeld = 256;

  /// (exact size, id), the largest first and equal ones ascending.
  template <typename Exact>
  std::vector<std::pair<T, std::int32_t>> rank_exactly(const Exact& exact) const {
    std::vector<std::int32_t> ids;
    for (const auto& [size, id] : held_) ids.push_back(id);
    const std::vector<T> sizes = exact(ids);
    std::vector<std::pair<T, std::int32_t>> ranked;
    for (std::size_t i = 0; i < ids.size(); ++i) ranked.emplace_back(sizes[i], ids[i]);
    std::sort(ranked.begin(), ranked.end(), [](const auto& one, const auto& other) {
      return one.first != other.first ? one.first > other.first : one.second < other.second;
    });
    return ranked;
  }

  /// The rank-th largest size, or the least there is.
  static T wanted_of(const std::vector<std::pair<T, std::int32_t>>& ranked, std::int64_t rank) {
    return ranked[static_cast<std::size_t>(std::min<std::ptrdiff_t>(rank, std::ssize(ranked)) - 1)].first;
  }

  /// Drops what others that are held keep from being among the ties handed out: what is smaller than the
  /// rank-th so far, and of those that equal it all but the lowest ids. Some of them that suffice for the
  /// ties, and for the rank, stay, so that it does not matter in which order rows come.
  template <typename Exact>
  void settle(std::int64_t rank, const Exact& exact) {
    const std::vector<std::pair<T, std::int32_t>> ranked = rank_exactly(exact);
    const T wanted = wanted_of(ranked, rank);
    held_.clear();
    std::int64_t ties = 0;
    for (const auto& one : ranked) {
      if (one.first < wanted || (one.first == wanted && ++ties > std::max(kMostTies, rank))) break;
      held_.push_back(one);
    }
  }

  std::vector<std::pair<T, std::int32_t>> held_;
  std::vector<std::int32_t> others_;
  std::ptrdiff_t limit_ = 16;
};

}  // namespace regulon::ops::detail
