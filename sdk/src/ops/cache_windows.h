#pragma once
/// The order in which items use the rows of a matrix, so that rows which many use stay in cache.

#include <cstdint>
#include <utility>
#include <vector>

namespace regulon::ops::detail {

/// What a row of `d` numbers takes.
template <typename T>
constexpr std::int64_t bytes_of_row(std::int64_t d) {
  return d * static_cast<std::int64_t>(sizeof(T));
}

/// Items that list rows of a matrix by ascending ids. Where the rows in use do not fit into a cache and items
/// list many of them, going through the items once for each window of ids that does fit is quicker: a row
/// then comes from memory once for all items, not for each anew. An item still meets its entries in their
/// order, so that sums are the same bits. Ids that do not ascend only cost time. Windows follow from the
/// lists alone, not from the number of threads.
class CacheWindows {
 public:
  /// `offsets` [items + 1] and `ids` as in `sum_rows`, to outlive this; ids are below `rows`, and a row of
  /// the matrix has `row_bytes`.
  CacheWindows(const std::int64_t* offsets, const std::int32_t* ids, std::int64_t items, std::int64_t rows,
               std::int64_t row_bytes);

  bool several() const { return cuts_.size() > 1; }

  /// Calls use(item, first, last, anew) for items of [begin, end): entries [first, last) are next. `anew` on
  /// an item's first call, which comes even if it has no entries. Any thread may call it.
  template <typename Use>
  void visit(std::int64_t begin, std::int64_t end, const Use& use) const {
    if (!several()) {
      for (std::int64_t item = begin; item < end; ++item) use(item, offsets_[item], offsets_[item + 1], true);
      return;
    }
    std::vector<std::int64_t> next(offsets_ + begin, offsets_ + end);
    for (const std::int32_t cut : cuts_) {
      const bool anew = cut == cuts_.front();
      for (std::int64_t item = begin; item < end; ++item) {
        std::int64_t& first = next[static_cast<std::size_t>(item - begin)];
        std::int64_t last = first;
        while (last < offsets_[item + 1] && ids_[last] < cut) ++last;
        if (anew || last > first) use(item, std::exchange(first, last), last, anew);
      }
    }
  }

 private:
  void cut(const std::vector<std::uint8_t>& in_use, std::int64_t used_rows, std::int64_t windows);

  const std::int64_t* offsets_;
  const std::int32_t* ids_;
  std::vector<std::int32_t> cuts_;  ///< where windows end; the last is above all ids
};

}  // namespace regulon::ops::detail
