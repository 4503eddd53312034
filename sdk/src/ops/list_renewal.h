#pragma once
/// Lists of the nearest of all rows, made from nothing.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "ops/neighbour_table.h"
#include "ops/row_sizes.h"
#include "ops/screen.h"

namespace regulon::ops::detail {

/// By products of some rows with all, which screen; what passes is computed as defined.
template <typename T>
class ListRenewal {
 public:
  ListRenewal(const at::Tensor& rows, const RowSizes<T>& sizes, NeighbourTable& table)
      : rows_(rows), sizes_(sizes), table_(table), n_(rows.size(0)) {}

  /// Makes the lists of the rows [begin, end) from all rows. Each of these that comes near another row on
  /// the way gets into the list of that one too.
  void renew(std::int64_t begin, std::int64_t end) {
    constexpr std::int64_t kTileColumns = 512;
    for (std::int64_t from = begin; from < end; from += kTileColumns)
      renew_tile(from, std::min(end, from + kTileColumns));
  }

 private:
  using Hits = std::vector<std::pair<std::int32_t, std::int32_t>>;

  /// One tile's rows, which are columns of its products.
  struct Tile {
    std::int64_t begin = 0;
    std::int64_t columns = 0;
    std::unique_ptr<Screen<T>> screen;
    std::vector<T> cuts;  ///< of each column a size that its m-th nearest certainly reaches
  };
  /// What rows of a block have found.
  struct Found {
    Hits by_column;  ///< column of the tile, row
    Hits by_row;     ///< row, row of the tile that it is to take in; rows ascend
  };

  void renew_tile(std::int64_t begin, std::int64_t end);
  std::unique_ptr<Screen<T>> make_screen(const at::Tensor& chunk) const;
  std::vector<T> cuts_of(std::int64_t begin, std::int64_t columns) const;
  T cut_of(std::int64_t row, std::vector<std::int32_t>& sample, std::vector<T>& found) const;
  void meet(const Tile& tile, std::int64_t first, std::int64_t last, Found& found) const;
  void sort_out(const Tile& tile, std::int64_t row, T row_cut, const T* sizes, const std::vector<T>& cuts,
                std::span<const std::int32_t> places, Found& found) const;
  void take_in(const Hits& hits);
  void choose(std::int64_t row, std::vector<std::int32_t>& candidates);

  const at::Tensor& rows_;
  const RowSizes<T>& sizes_;
  NeighbourTable& table_;
  std::int64_t n_;
};

extern template class ListRenewal<float>;
extern template class ListRenewal<double>;

}  // namespace regulon::ops::detail
