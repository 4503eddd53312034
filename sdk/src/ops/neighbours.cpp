#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <regulon/pairs.h>

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "kernel_table.h"
#include "ops/block_pairs.h"
#include "ops/nearest_candidates.h"
#include "ops/row_choice.h"
#include "ops/support.h"
#include "ops/tiles.h"

namespace regulon::ops {
namespace {

constexpr const char* kNearestNeighbours = "nearest_neighbours";

/// The search: products of blocks screen; what could be nearest is computed exactly at the end. Where the
/// neighbours of all rows are wanted, each block of the product serves its rows and its columns.
template <typename T>
class Search {
 public:
  Search(const at::Tensor& rows, const NearestSettings& settings)
      : rows_(rows),
        data_(rows.const_data_ptr<T>()),
        n_(rows.size(0)),
        d_(rows.size(1)),
        wanted_(settings.rows.defined() ? settings.rows.contiguous() : at::Tensor()),
        rank_(settings.rank),
        absolute_(settings.absolute),
        zero_(static_cast<std::size_t>(n_)),
        nearest_(static_cast<std::size_t>(wanted_.defined() ? wanted_.size(0) : n_)),
        cuts_(nearest_.size(), absolute_ ? T(0) : std::numeric_limits<T>::lowest()) {
    measure_rows();
    for (std::size_t i = 0; i < cuts_.size(); ++i) {
      if (is_zero(row_of(static_cast<std::int64_t>(i)))) cuts_[i] = std::numeric_limits<T>::infinity();
    }
  }

  Neighbours run() {
    if (wanted_.defined()) {
      meet_all();
    } else {
      const detail::RowBlocks blocks(n_);
      detail::for_block_pairs(blocks.count, blocks.pair_cost(d_), [&](std::int64_t i, std::int64_t j) {
        const std::int64_t left = blocks.begin(i);
        meet(rows_.narrow(0, left, blocks.size(i)), left, blocks.begin(j), blocks.size(j), true);
      });
    }
    const auto count = static_cast<std::int64_t>(nearest_.size());
    at::parallel_for(0, count, grain_for(d_), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        nearest_[static_cast<std::size_t>(i)].decide(
            rank_, absolute_,
            [&](const std::vector<std::int32_t>& others) { return exact_sizes(i, others); });
      }
    });
    return result();
  }

 private:
  /// Twice the largest error of a product: two that are this far apart cannot change places.
  void measure_rows() {
    std::vector<double> sums(static_cast<std::size_t>(n_));
    at::parallel_for(0, n_, grain_for(d_), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row)
        sums[static_cast<std::size_t>(row)] = best_kernels<T>().square_sum(data_ + row * d_, d_);
    });
    double largest = 0;
    for (std::int64_t row = 0; row < n_; ++row) {
      const double sum = sums[static_cast<std::size_t>(row)];
      if (!std::isfinite(sum) || sum > 1e12) {
        detail::fail(kNearestNeighbours, "the rows are not of unit length", "rows of norm one, or zero",
                     fmt::format("squared norm {} in row {}", sum, row));
      }
      zero_[static_cast<std::size_t>(row)] = sum == 0 ? 1 : 0;
      largest = std::max(largest, sum);
    }
    const double roundoff = static_cast<double>(std::numeric_limits<T>::epsilon()) / 2;
    const double terms = 1.1 * static_cast<double>(d_) + 32;
    const double tiny = static_cast<double>(d_) * 64 * static_cast<double>(std::numeric_limits<T>::min());
    margin_ = static_cast<T>(2.1 * (terms * roundoff / (1 - terms * roundoff) * largest + tiny));
  }

  bool is_zero(std::int64_t row) const { return zero_[static_cast<std::size_t>(row)] != 0; }
  /// The row whose neighbours `nearest_[place]` are.
  std::int64_t row_of(std::int64_t place) const {
    return wanted_.defined() ? wanted_.const_data_ptr<std::int64_t>()[place] : place;
  }
  T size_of(T cosine) const { return absolute_ ? std::fabs(cosine) : cosine; }

  /// The wanted rows, gathered, with all rows.
  void meet_all() {
    constexpr std::int64_t kFewest = 16;
    constexpr std::int64_t kMost = 256;
    const auto count = static_cast<std::int64_t>(nearest_.size());
    const detail::RowBlocks right(n_);
    const std::int64_t length = std::clamp<std::int64_t>((count + 7) / 8, kFewest, kMost);
    const std::int64_t blocks = (count + length - 1) / length;
    at::parallel_for(0, blocks, grain_for(length * n_ * d_ / 16), [&](std::int64_t begin, std::int64_t end) {
      const at::AutoDispatchBelowADInplaceOrView below_autograd;
      for (std::int64_t block = begin; block < end; ++block) {
        const std::int64_t first = block * length;
        const std::int64_t height = std::min(length, count - first);
        const at::Tensor left = rows_.index_select(0, wanted_.narrow(0, first, height));
        for (std::int64_t j = 0; j < right.count; ++j)
          meet(left, first, right.begin(j), right.size(j), false);
      }
    });
  }

  /// Rows `left`, whose neighbours are kept from place `first`, with the rows from `begin`; if `both`, these
  /// learn of each other.
  void meet(const at::Tensor& left, std::int64_t first, std::int64_t begin, std::int64_t width, bool both) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    at::Tensor product = at::empty({left.size(0), width}, rows_.options());
    detail::tile_product(left, rows_.narrow(0, begin, width).t(), product);
    const T* const data = product.template const_data_ptr<T>();
    const bool mirrored = both && first != begin;
    std::vector<std::int32_t> found(static_cast<std::size_t>(width));
    for (std::int64_t r = 0; r < left.size(0); ++r)
      meet_row(first + r, begin, width, data + r * width, mirrored, found);
  }

  void meet_row(std::int64_t place, std::int64_t begin, std::int64_t width, const T* product, bool mirrored,
                std::vector<std::int32_t>& found) {
    const std::int64_t row = row_of(place);
    const KernelTable<T>& kernels = best_kernels<T>();
    const auto scan = absolute_ ? kernels.scan_absolute : kernels.scan_signed;
    const std::int64_t hits = scan(product, width, cuts_[static_cast<std::size_t>(place)],
                                   mirrored ? cuts_.data() + begin : nullptr, found.data());
    for (std::int64_t h = 0; h < hits; ++h) {
      const std::int64_t column = found[static_cast<std::size_t>(h)];
      const std::int64_t other = begin + column;
      if (other == row || is_zero(other) || is_zero(row)) continue;
      const T size = size_of(product[column]);
      offer(place, other, size);
      if (mirrored) offer(other, row, size);
    }
  }

  void offer(std::int64_t place, std::int64_t other, T size) {
    const auto at = static_cast<std::size_t>(place);
    if (size < cuts_[at]) return;
    nearest_[at].add({size, static_cast<std::int32_t>(other)}, rank_, margin_, cuts_[at],
                     [&](const std::vector<std::int32_t>& others) { return exact_sizes(place, others); });
  }

  /// As defined, not as products of blocks round.
  std::vector<T> exact_sizes(std::int64_t place, const std::vector<std::int32_t>& others) const {
    std::vector<T> sizes(others.size());
    best_kernels<T>().gather_dot(data_ + row_of(place) * d_, data_, d_, others.data(),
                                 static_cast<std::int64_t>(others.size()), sizes.data());
    for (T& size : sizes) size = size_of(size);
    return sizes;
  }

  Neighbours result() const {
    std::int64_t pairs = 0;
    for (const auto& nearest : nearest_) pairs += std::ssize(nearest.others());
    Neighbours found{at::empty({pairs}, at::kLong), at::empty({pairs}, at::kLong),
                     at::empty({pairs}, rows_.options())};
    std::int64_t* const row = found.row.mutable_data_ptr<std::int64_t>();
    std::int64_t* const other = found.other.mutable_data_ptr<std::int64_t>();
    T* const share = found.share.template mutable_data_ptr<T>();
    std::int64_t at = 0;
    for (std::size_t place = 0; place < nearest_.size(); ++place) {
      const auto& others = nearest_[place].others();
      for (const std::int32_t id : others) {
        row[at] = row_of(static_cast<std::int64_t>(place));
        other[at] = id;
        share[at++] = T(1) / static_cast<T>(others.size());
      }
    }
    return found;
  }

  at::Tensor rows_;
  const T* data_;
  std::int64_t n_;
  std::int64_t d_;
  at::Tensor wanted_;
  std::int64_t rank_;
  bool absolute_;
  std::vector<char> zero_;                             ///< by row
  std::vector<detail::NearestCandidates<T>> nearest_;  ///< by place
  std::vector<T> cuts_;                                ///< of sizes, by place; infinite for rows of zeros
  T margin_ = 0;
};

}  // namespace

Neighbours nearest_neighbours(const at::Tensor& unit_rows, const NearestSettings& settings) {
  detail::check_floating(kNearestNeighbours, "unit_rows", unit_rows, 2);
  detail::check_row_choice(kNearestNeighbours, settings.rows, unit_rows.size(0));
  if (settings.rank < 1)
    detail::fail(kNearestNeighbours, "cannot use the rank", "at least 1", std::to_string(settings.rank));
  const at::Tensor rows = unit_rows.detach().contiguous();
  return detail::by_dtype(rows, [&](auto zero) { return Search<decltype(zero)>(rows, settings).run(); });
}

}  // namespace regulon::ops
