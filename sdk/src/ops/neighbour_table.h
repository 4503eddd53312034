#pragma once
/// The neighbours that are remembered of each row.

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

namespace regulon::ops::detail {

/// One of a row's neighbours, while they are ranked.
template <typename T>
struct RankedNeighbour {
  T size;
  std::int32_t id;
  bool operator<(const RankedNeighbour& other) const {
    return size != other.size ? size > other.size : id < other.id;
  }
};

/// A view of the tensors that hold the lists.
class NeighbourTable {
 public:
  /// `ids` [n, m] int32, nearest first as last ranked, -1 where there are fewer; `places` [n, 2] int32: the
  /// place in the list of the first that is rank-th nearest, and how many are; `reach` [n] float: what a row
  /// must be the size of to get into the list.
  NeighbourTable(const at::Tensor& ids, const at::Tensor& places, const at::Tensor& reach, std::int64_t rank)
      : ids_(ids.mutable_data_ptr<std::int32_t>()),
        places_(places.mutable_data_ptr<std::int32_t>()),
        reach_(reach.mutable_data_ptr<float>()),
        rows_(ids.size(0)),
        most_(ids.size(1)),
        rank_(rank) {}

  std::int64_t rows() const { return rows_; }  ///< n
  std::int64_t most() const { return most_; }  ///< m
  const std::int32_t* list(std::int64_t row) const { return ids_ + row * most_; }
  std::int64_t length(std::int64_t row) const {
    return std::find(list(row), list(row) + most_, -1) - list(row);
  }
  /// Those of the row's list that are its rank-th nearest.
  const std::int32_t* wanted(std::int64_t row) const { return list(row) + places_[2 * row]; }
  std::int64_t ties(std::int64_t row) const { return places_[2 * row + 1]; }
  /// As last ranked: rounded, and so no bound.
  float reach(std::int64_t row) const { return reach_[row]; }
  bool holds(std::int64_t row, std::int32_t other) const {
    return std::find(list(row), list(row) + most_, other) != list(row) + most_;
  }
  /// Which of `length` ranked ones is the rank-th, or the last there is.
  std::int64_t place_of_rank(std::int64_t length) const { return std::min(rank_, length) - 1; }

  /// Makes the best of `neighbours` the row's list, out of any order. A neighbour of size zero is none to
  /// those who look at absolute cosines: it is not pulled.
  template <typename T>
  void keep(std::int64_t row, std::vector<RankedNeighbour<T>>& neighbours, bool absolute) {
    std::sort(neighbours.begin(), neighbours.end());
    const auto held = std::min(static_cast<std::int64_t>(neighbours.size()), most_);
    std::int32_t* const to = ids_ + row * most_;
    for (std::int64_t i = 0; i < held; ++i) to[i] = neighbours[static_cast<std::size_t>(i)].id;
    std::fill(to + held, to + most_, -1);
    std::int32_t* const place = places_ + 2 * row;
    place[0] = place[1] = 0;
    reach_[row] = held < most_ ? std::numeric_limits<float>::lowest()
                               : static_cast<float>(neighbours[static_cast<std::size_t>(held - 1)].size);
    if (held == 0) return;
    const T size = neighbours[static_cast<std::size_t>(place_of_rank(held))].size;
    if (absolute && size == 0) return;
    for (std::int64_t i = 0; i < held; ++i) {
      const T one = neighbours[static_cast<std::size_t>(i)].size;
      place[0] += one > size ? 1 : 0;
      place[1] += one == size ? 1 : 0;
    }
  }

 private:
  std::int32_t* ids_;
  std::int32_t* places_;
  float* reach_;
  std::int64_t rows_;
  std::int64_t most_;
  std::int64_t rank_;
};

}  // namespace regulon::ops::detail
