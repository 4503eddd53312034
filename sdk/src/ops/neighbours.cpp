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
#include "ops/support.h"
#include "ops/tiles.h"

namespace regulon::ops {
namespace {

constexpr const char* kNearestNeighbours = "nearest_neighbours";

/// Rows that could be the nearest of one row.
template <typename T>
struct Nearest {
  std::vector<std::int32_t> others;
  std::vector<T> sizes;  ///< |product| with each

  /// Takes another; `cut` rises with the largest so far, and what falls below is dropped now and then.
  void add(std::int32_t other, T size, T margin, T& cut) {
    others.push_back(other);
    sizes.push_back(size);
    cut = std::max(cut, size - margin);
    if (others.size() >= limit_) trim(cut);
  }

 private:
  void trim(T cut) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < others.size(); ++i) {
      if (sizes[i] < cut) continue;
      others[kept] = others[i];
      sizes[kept++] = sizes[i];
    }
    others.resize(kept);
    sizes.resize(kept);
    limit_ = std::max(limit_, 2 * kept);
  }

  std::size_t limit_ = 16;
};

/// The search: products of blocks screen, with each other as both rows and columns; what could be nearest is
/// computed exactly at the end.
template <typename T>
class Search {
 public:
  explicit Search(const at::Tensor& rows)
      : rows_(rows),
        n_(rows.size(0)),
        blocks_(n_),
        nearest_(static_cast<std::size_t>(n_)),
        cuts_(static_cast<std::size_t>(n_), T(0)) {
    measure_rows();
  }

  Neighbours run() {
    const std::int64_t d = rows_.size(1);
    detail::for_block_pairs(blocks_.count, blocks_.pair_cost(d),
                            [&](std::int64_t i, std::int64_t j) { meet(i, j); });
    at::parallel_for(0, n_, grain_for(d), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) decide(row);
    });
    return result();
  }

 private:
  /// Twice the largest error of a product: two that are this far apart cannot change places.
  void measure_rows() {
    const T* const data = rows_.template const_data_ptr<T>();
    const std::int64_t d = rows_.size(1);
    double largest = 0;
    for (std::int64_t row = 0; row < n_; ++row) {
      const double sum = best_kernels<T>().square_sum(data + row * d, d);
      if (!std::isfinite(sum) || sum > 1e12) {
        detail::fail(kNearestNeighbours, "the rows are not of unit length", "rows of norm one, or zero",
                     fmt::format("squared norm {} in row {}", sum, row));
      }
      if (sum == 0) cuts_[static_cast<std::size_t>(row)] = std::numeric_limits<T>::infinity();
      largest = std::max(largest, sum);
    }
    const double roundoff = static_cast<double>(std::numeric_limits<T>::epsilon()) / 2;
    const double terms = 1.1 * static_cast<double>(d) + 32;
    const double tiny = static_cast<double>(d) * 64 * static_cast<double>(std::numeric_limits<T>::min());
    margin_ = static_cast<T>(2.1 * (terms * roundoff / (1 - terms * roundoff) * largest + tiny));
  }

  bool is_zero(std::int64_t row) const { return std::isinf(cuts_[static_cast<std::size_t>(row)]); }

  void meet(std::int64_t i, std::int64_t j) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    const std::int64_t height = blocks_.size(i);
    const std::int64_t width = blocks_.size(j);
    at::Tensor product = at::empty({height, width}, rows_.options());
    detail::tile_product(rows_.narrow(0, blocks_.begin(i), height),
                         rows_.narrow(0, blocks_.begin(j), width).t(), product);
    const T* const data = product.template const_data_ptr<T>();
    std::vector<std::int32_t> found(static_cast<std::size_t>(width));
    for (std::int64_t r = 0; r < height; ++r) meet_row(i, j, r, data + r * width, found);
  }

  void meet_row(std::int64_t i, std::int64_t j, std::int64_t r, const T* product,
                std::vector<std::int32_t>& found) {
    const std::int64_t row = blocks_.begin(i) + r;
    const std::int64_t first = blocks_.begin(j);
    T& row_cut = cuts_[static_cast<std::size_t>(row)];
    const T* const column_cuts = i == j ? nullptr : cuts_.data() + first;
    const std::int64_t hits =
        best_kernels<T>().scan_absolute(product, blocks_.size(j), row_cut, column_cuts, found.data());
    for (std::int64_t h = 0; h < hits; ++h) {
      const std::int64_t column = found[static_cast<std::size_t>(h)];
      const std::int64_t other = first + column;
      if (other == row || is_zero(other) || is_zero(row)) continue;
      const T size = std::fabs(product[column]);
      offer(row, other, size);
      if (i != j) offer(other, row, size);
    }
  }

  void offer(std::int64_t row, std::int64_t other, T size) {
    const auto at = static_cast<std::size_t>(row);
    if (size >= cuts_[at]) nearest_[at].add(static_cast<std::int32_t>(other), size, margin_, cuts_[at]);
  }

  /// Leaves of a row's candidates those that truly have the largest |cos|, ascending.
  void decide(std::int64_t row) {
    std::vector<std::int32_t>& others = nearest_[static_cast<std::size_t>(row)].others;
    std::sort(others.begin(), others.end());
    const std::int64_t d = rows_.size(1);
    const T* const data = rows_.template const_data_ptr<T>();
    std::vector<T> cosines(others.size());
    best_kernels<T>().gather_dot(data + row * d, data, d, others.data(),
                                 static_cast<std::int64_t>(others.size()), cosines.data());
    T largest = 0;
    for (T& cosine : cosines) largest = std::max(largest, cosine = std::fabs(cosine));
    std::size_t kept = 0;
    for (std::size_t i = 0; i < others.size(); ++i) {
      if (cosines[i] == largest) others[kept++] = others[i];
    }
    others.resize(kept);
  }

  Neighbours result() const {
    std::int64_t pairs = 0;
    for (const Nearest<T>& nearest : nearest_) pairs += static_cast<std::int64_t>(nearest.others.size());
    Neighbours found{at::empty({pairs}, at::kLong), at::empty({pairs}, at::kLong),
                     at::empty({pairs}, rows_.options())};
    std::int64_t* const row = found.row.mutable_data_ptr<std::int64_t>();
    std::int64_t* const other = found.other.mutable_data_ptr<std::int64_t>();
    T* const share = found.share.template mutable_data_ptr<T>();
    std::int64_t at = 0;
    for (std::int64_t i = 0; i < n_; ++i) {
      const auto& others = nearest_[static_cast<std::size_t>(i)].others;
      for (const std::int32_t id : others) {
        row[at] = i;
        other[at] = id;
        share[at++] = T(1) / static_cast<T>(others.size());
      }
    }
    return found;
  }

  at::Tensor rows_;
  std::int64_t n_;
  detail::RowBlocks blocks_;
  std::vector<Nearest<T>> nearest_;
  std::vector<T> cuts_;  ///< of |product|, by row; infinite for rows of zeros
  T margin_ = 0;
};

}  // namespace

Neighbours nearest_neighbours(const at::Tensor& unit_rows) {
  detail::check_floating(kNearestNeighbours, "unit_rows", unit_rows, 2);
  const at::Tensor rows = unit_rows.detach().contiguous();
  return detail::by_dtype(rows, [&](auto zero) { return Search<decltype(zero)>(rows).run(); });
}

}  // namespace regulon::ops
