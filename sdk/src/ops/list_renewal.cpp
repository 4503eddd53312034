#include "ops/list_renewal.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <regulon/error.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <mutex>
#include <type_traits>

#include "ops/support.h"

namespace regulon::ops::detail {
namespace {

constexpr std::int64_t kRenewalRows = 256;
constexpr std::int64_t kSampleRows = 1024;  ///< from which a row without a list gets its first cut

}  // namespace

template <typename T>
void ListRenewal<T>::renew_tile(std::int64_t begin, std::int64_t end) {
  const std::int64_t columns = end - begin;
  const std::int64_t width = sizes_.width();
  const std::unique_ptr<Screen<T>> screen = make_screen(rows_.narrow(0, begin, columns));
  const std::vector<T> cuts = cuts_of(begin, columns);
  std::vector<std::vector<std::int32_t>> found(static_cast<std::size_t>(columns));
  std::mutex appending;
  const std::int64_t blocks = (n_ + kRenewalRows - 1) / kRenewalRows;
  const std::int64_t block_cost = kRenewalRows * columns * width / 16;
  at::parallel_for(0, blocks, grain_for(block_cost), [&](std::int64_t first, std::int64_t last) {
    Hits hits;
    for (std::int64_t block = first; block < last; ++block)
      meet(*screen, block * kRenewalRows, std::min(n_, (block + 1) * kRenewalRows), begin, cuts, hits);
    const std::scoped_lock lock(appending);
    for (const auto& [column, row] : hits) found[static_cast<std::size_t>(column)].push_back(row);
  });
  at::parallel_for(0, columns, grain_for(2 * table_.most() * width),
                   [&](std::int64_t first, std::int64_t last) {
                     for (std::int64_t column = first; column < last; ++column)
                       choose(begin + column, found[static_cast<std::size_t>(column)]);
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

/// Adds to `hits` each (column, row) of the rows [first, last) that could reach the column's cut.
template <typename T>
void ListRenewal<T>::meet(const Screen<T>& screen, std::int64_t first, std::int64_t last, std::int64_t begin,
                          const std::vector<T>& cuts, Hits& hits) const {
  const std::int64_t columns = screen.features();
  at::Tensor product = at::empty({last - first, columns}, rows_.options());
  screen.product(first, 0, product);
  const std::array<T, 2> error = screen.tile_error(0, columns);
  const KernelTable<T>& kernels = best_kernels<T>();
  const auto scan = sizes_.absolute() ? kernels.scan_absolute : kernels.scan_signed;
  std::vector<T> reached(cuts.size());
  std::vector<std::int32_t> found(cuts.size() + 16);
  for (std::int64_t row = first; row < last; ++row) {
    const T* const tile_row = product.const_data_ptr<T>() + (row - first) * columns;
    const T slack = screen.row_of_tile(row, 0, columns, tile_row, error, nullptr).error;
    for (std::size_t i = 0; i < cuts.size(); ++i) reached[i] = cuts[i] - slack;
    const std::int64_t count =
        scan(tile_row, columns, std::numeric_limits<T>::infinity(), reached.data(), found.data());
    for (std::int64_t i = 0; i < count; ++i) {
      if (begin + found[static_cast<std::size_t>(i)] == row) continue;
      hits.emplace_back(found[static_cast<std::size_t>(i)], static_cast<std::int32_t>(row));
    }
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
