#include "ops/list_renewal.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <regulon/error.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <type_traits>
#include <utility>

#include "ops/support.h"

namespace regulon::ops::detail {
namespace {

constexpr std::int64_t kRenewalRows = 256;
constexpr std::int64_t kSampleRows = 1024;  ///< from which a row without a list gets its first cut

}  // namespace

template <typename T>
void ListRenewal<T>::renew_tile(std::int64_t begin, std::int64_t end) {
  const std::int64_t width = sizes_.width();
  Tile tile{begin, end - begin, make_screen(rows_.narrow(0, begin, end - begin)),
            cuts_of(begin, end - begin)};
  const std::int64_t blocks = (n_ + kRenewalRows - 1) / kRenewalRows;
  std::vector<Found> found(static_cast<std::size_t>(blocks));
  const std::int64_t block_cost = kRenewalRows * tile.columns * width / 16;
  at::parallel_for(0, blocks, grain_for(block_cost), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t block = first; block < last; ++block) {
      meet(tile, block * kRenewalRows, std::min(n_, (block + 1) * kRenewalRows),
           found[static_cast<std::size_t>(block)]);
    }
  });
  std::vector<std::vector<std::int32_t>> candidates(static_cast<std::size_t>(tile.columns));
  for (const Found& block : found) {
    for (const auto& [column, row] : block.by_column)
      candidates[static_cast<std::size_t>(column)].push_back(row);
  }
  const std::int64_t cost = 2 * table_.most() * width;
  at::parallel_for(0, tile.columns, grain_for(cost), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t column = first; column < last; ++column)
      choose(begin + column, candidates[static_cast<std::size_t>(column)]);
  });
  at::parallel_for(0, blocks, grain_for(cost), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t block = first; block < last; ++block)
      take_in(found[static_cast<std::size_t>(block)].by_row);
  });
}

template <typename T>
std::unique_ptr<Screen<T>> ListRenewal<T>::make_screen(const at::Tensor& chunk) const {
  Operands operands;
  operands.rows = rows_;
  operands.weight = chunk;
  try {
    if constexpr (std::is_same_v<T, float>) {
      const HalfKernels& half = half_kernels().front();
      if (half.fast) return std::make_unique<HalfScreen>(operands, half);
    }
    return std::make_unique<FullScreen<T>>(operands);
  } catch (const RunError&) {
    RowSizes<T>::refuse();  // all that a screen refuses is numbers that are not finite
  }
}

/// Of each column a size that its m-th nearest certainly reaches. Infinite for rows of zeros, which have no
/// neighbours.
template <typename T>
std::vector<T> ListRenewal<T>::cuts_of(std::int64_t begin, std::int64_t columns) const {
  std::vector<T> cuts(static_cast<std::size_t>(columns));
  at::parallel_for(0, columns, 1, [&](std::int64_t first, std::int64_t last) {
    std::vector<std::int32_t> sample;
    std::vector<T> found;
    for (std::int64_t column = first; column < last; ++column)
      cuts[static_cast<std::size_t>(column)] = cut_of(begin + column, sample, found);
  });
  return cuts;
}

/// From its list if that is full, else from a sample of the rows.
template <typename T>
T ListRenewal<T>::cut_of(std::int64_t row, std::vector<std::int32_t>& sample, std::vector<T>& found) const {
  if (sizes_.is_zero(row)) return std::numeric_limits<T>::infinity();
  const std::int64_t most = table_.most();
  const std::int32_t* others = table_.list(row);
  std::int64_t count = table_.length(row);
  if (count < most) {
    const std::int64_t stride = std::max<std::int64_t>(1, n_ / std::max(kSampleRows, 4 * most));
    sample.clear();
    for (std::int64_t other = 0; other < n_; other += stride) {
      if (other != row && !sizes_.is_zero(other)) sample.push_back(static_cast<std::int32_t>(other));
    }
    others = sample.data();
    count = static_cast<std::int64_t>(sample.size());
  }
  if (count < most) return sizes_.absolute() ? T(0) : std::numeric_limits<T>::lowest();
  found.resize(static_cast<std::size_t>(count));
  sizes_.of(row, others, count, found.data());
  std::nth_element(found.begin(), found.begin() + (most - 1), found.end(), std::greater<T>());
  return found[static_cast<std::size_t>(most - 1)];
}

/// Holds the rows [first, last) against the tile's.
template <typename T>
void ListRenewal<T>::meet(const Tile& tile, std::int64_t first, std::int64_t last, Found& found) const {
  at::Tensor product = at::empty({last - first, tile.columns}, rows_.options());
  tile.screen->product(first, 0, product);
  const std::array<T, 2> error = tile.screen->tile_error(0, tile.columns);
  const KernelTable<T>& kernels = best_kernels<T>();
  const auto scan = sizes_.absolute() ? kernels.scan_absolute : kernels.scan_signed;
  std::vector<T> cuts(tile.cuts.size());
  std::vector<std::int32_t> places(tile.cuts.size() + 16);
  for (std::int64_t row = first; row < last; ++row) {
    const T* const sizes = product.const_data_ptr<T>() + (row - first) * tile.columns;
    const T slack = tile.screen->row_of_tile(row, 0, tile.columns, sizes, error, nullptr).error;
    for (std::size_t i = 0; i < cuts.size(); ++i) cuts[i] = tile.cuts[i] - slack;
    // A list that is made anew takes nobody in.
    const bool is_of_tile = row >= tile.begin && row < tile.begin + tile.columns;
    const T row_cut =
        is_of_tile ? std::numeric_limits<T>::infinity() : static_cast<T>(table_.reach(row)) - slack;
    const std::int64_t count = scan(sizes, tile.columns, row_cut, cuts.data(), places.data());
    sort_out(tile, row, row_cut, sizes, cuts, {places.data(), static_cast<std::size_t>(count)}, found);
  }
}

/// Of the columns at `places`, which have reached their own cut or the row's.
template <typename T>
void ListRenewal<T>::sort_out(const Tile& tile, std::int64_t row, T row_cut, const T* sizes,
                              const std::vector<T>& cuts, std::span<const std::int32_t> places,
                              Found& found) const {
  for (const std::int32_t column : places) {
    const auto other = static_cast<std::int32_t>(tile.begin + column);
    if (other == row) continue;
    const T size = sizes_.absolute() ? std::fabs(sizes[column]) : sizes[column];
    if (size >= cuts[static_cast<std::size_t>(column)])
      found.by_column.emplace_back(column, static_cast<std::int32_t>(row));
    if (size >= row_cut && !table_.holds(row, other))
      found.by_row.emplace_back(static_cast<std::int32_t>(row), other);
  }
}

/// Ranks the lists of the rows of `hits` with those that they are to take in.
template <typename T>
void ListRenewal<T>::take_in(const Hits& hits) {
  std::vector<std::int32_t> candidates;
  for (std::size_t i = 0; i < hits.size();) {
    const std::int64_t row = hits[i].first;
    candidates.assign(table_.list(row), table_.list(row) + table_.length(row));
    for (; i < hits.size() && hits[i].first == row; ++i) candidates.push_back(hits[i].second);
    if (!sizes_.is_zero(row)) choose(row, candidates);
  }
}

/// The list of `row` out of candidates in any order.
template <typename T>
void ListRenewal<T>::choose(std::int64_t row, std::vector<std::int32_t>& candidates) {
  std::sort(candidates.begin(), candidates.end());
  std::vector<T> found(candidates.size());
  sizes_.of(row, candidates.data(), static_cast<std::int64_t>(candidates.size()), found.data());
  std::vector<RankedNeighbour<T>> ranked;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (sizes_.are_neighbours(candidates[i], found[i])) ranked.push_back({found[i], candidates[i]});
  }
  table_.keep(row, ranked, sizes_.absolute());
}

template class ListRenewal<float>;
template class ListRenewal<double>;

}  // namespace regulon::ops::detail
