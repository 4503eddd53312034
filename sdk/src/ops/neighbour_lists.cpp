#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <regulon/error.h>
#include <regulon/neighbour_lists.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <mutex>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernel_table.h"
#include "ops/screen.h"
#include "ops/support.h"

namespace regulon {
namespace {

using ops::detail::FullScreen;
using ops::detail::HalfScreen;
using ops::detail::Operands;
using ops::detail::Screen;

constexpr std::int64_t kBlockRows = 256;
constexpr std::int64_t kTileColumns = 512;
constexpr std::int64_t kSampleRows = 1024;  ///< from which a row without a list gets its first cut
constexpr const char* kNearest = "NeighbourLists::nearest";
constexpr double kMostCosine = 1e12;  ///< of rows that are taken for ones of unit length
constexpr double kShortestPeriod = 2;
constexpr double kLongestPeriod = 1000;
constexpr double kRanksPerPeriod = 10;  ///< how often in its life a list is ranked at least

/// What `figures` holds.
enum Figure : std::int64_t {
  calls,
  cursor,
  period,
  recall,
  deficit,
  sum_found,
  sum_deficit,
  audited,
  rotations,
  figure_count
};

/// One row's neighbours while they are ranked.
template <typename T>
struct Neighbour {
  T size;  ///< |cos|
  std::int32_t id;
  bool operator<(const Neighbour& other) const {
    return size != other.size ? size > other.size : id < other.id;
  }
};

/// One call: the lists under today's rows.
template <typename T>
class Rotation {
 public:
  Rotation(const at::Tensor& rows, const NeighbourListSettings& settings, const at::Tensor& ids,
           const at::Tensor& ties, const at::Tensor& figures)
      : rows_(rows),
        data_(rows.const_data_ptr<T>()),
        n_(rows.size(0)),
        d_(rows.size(1)),
        m_(ids.size(1)),
        settings_(settings),
        ids_(ids.mutable_data_ptr<std::int32_t>()),
        ties_(ties.mutable_data_ptr<std::int32_t>()),
        figures_(figures.mutable_data_ptr<double>()) {}

  void turn() {
    if (figures_[calls] == 0) {
      for (std::int64_t begin = 0; begin < n_; begin += kTileColumns)
        renew(begin, std::min(n_, begin + kTileColumns));
    } else {
      const auto begin = static_cast<std::int64_t>(figures_[cursor]);
      const auto share = static_cast<std::int64_t>(std::ceil(static_cast<double>(n_) / figures_[period]));
      const std::int64_t end = std::min(n_, begin + std::max<std::int64_t>(1, share));
      rank_some(begin, end);
      const std::vector<T> used = sizes_in_use(begin, end);
      rank(begin, end, 1);
      for (std::int64_t from = begin; from < end; from += kTileColumns)
        renew(from, std::min(end, from + kTileColumns));
      audit(begin, used);
      figures_[cursor] = static_cast<double>(end % n_);
      if (end == n_) end_rotation();
    }
    figures_[calls] += 1;
  }

 private:
  [[noreturn]] static void refuse_rows() {
    ops::detail::fail(kNearest, "the rows are not of unit length", "rows of norm one, or zero",
                      "a number that is not finite, or a far longer row");
  }

  std::int32_t* list(std::int64_t row) const { return ids_ + row * m_; }
  const T* vector(std::int64_t row) const { return data_ + row * d_; }

  std::int64_t length(std::int64_t row) const { return std::find(list(row), list(row) + m_, -1) - list(row); }

  /// Sizes of the row's cosines with `count` others.
  void sizes(std::int64_t row, const std::int32_t* others, std::int64_t count, T* out) const {
    best_kernels<T>().gather_dot(vector(row), data_, d_, others, count, out);
    for (std::int64_t i = 0; i < count; ++i) {
      out[i] = std::fabs(out[i]);
      if (!(out[i] < kMostCosine)) refuse_rows();  // what is not a number could not be ranked
    }
  }

  /// Those whose turn it is to be ranked, but for [begin, end), which is looked at on its own.
  void rank_some(std::int64_t begin, std::int64_t end) {
    // Where lists last long, so does the order in them; the audit is of both.
    const auto stride =
        std::max(settings_.rank_every, static_cast<std::int64_t>(figures_[period] / kRanksPerPeriod));
    const std::int64_t turn = static_cast<std::int64_t>(figures_[calls]) % stride;
    rank(turn, begin, stride);
    rank(end + ((turn - end) % stride + stride) % stride, n_, stride);
  }

  /// Orders the lists of every `stride`-th row of [begin, end) by today's cosines.
  void rank(std::int64_t begin, std::int64_t end, std::int64_t stride) {
    if (begin >= end) return;
    const std::int64_t count = (end - begin + stride - 1) / stride;
    at::parallel_for(0, count, grain_for(m_ * d_), [&](std::int64_t first, std::int64_t last) {
      std::vector<T> found(static_cast<std::size_t>(m_));
      std::vector<Neighbour<T>> ranked;
      for (std::int64_t i = first; i < last; ++i) {
        const std::int64_t row = begin + i * stride;
        const std::int64_t held = length(row);
        sizes(row, list(row), held, found.data());
        ranked.clear();
        for (std::int64_t j = 0; j < held; ++j)
          ranked.push_back({found[static_cast<std::size_t>(j)], list(row)[j]});
        keep(row, ranked);
      }
    });
  }

  /// Makes the best of `neighbours` the row's list.
  void keep(std::int64_t row, std::vector<Neighbour<T>>& neighbours) {
    std::sort(neighbours.begin(), neighbours.end());
    const auto held = std::min(static_cast<std::int64_t>(neighbours.size()), m_);
    std::int32_t same = 0;
    for (std::int64_t i = 0; i < held; ++i) {
      const Neighbour<T>& one = neighbours[static_cast<std::size_t>(i)];
      list(row)[i] = one.id;
      if (one.size == neighbours.front().size && one.size > 0) ++same;
    }
    std::fill(list(row) + held, list(row) + m_, -1);
    ties_[row] = same;
  }

  /// What this call would have handed out for each row of [begin, end).
  std::vector<T> sizes_in_use(std::int64_t begin, std::int64_t end) const {
    const std::int64_t turn = static_cast<std::int64_t>(figures_[calls]) % settings_.rank_every;
    std::vector<T> used(static_cast<std::size_t>(end - begin), T(0));
    std::vector<T> all(static_cast<std::size_t>(m_));
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t looked_at = row % settings_.rank_every == turn ? length(row) : ties_[row];
      sizes(row, list(row), looked_at, all.data());
      for (std::int64_t i = 0; i < looked_at; ++i)
        used[static_cast<std::size_t>(row - begin)] =
            std::max(used[static_cast<std::size_t>(row - begin)], all[static_cast<std::size_t>(i)]);
    }
    return used;
  }

  /// Makes the lists of the rows [begin, end) from all rows.
  void renew(std::int64_t begin, std::int64_t end) {
    const std::int64_t columns = end - begin;
    const std::unique_ptr<Screen<T>> screen = make_screen(rows_.narrow(0, begin, columns));
    std::vector<T> cuts = cuts_of(begin, columns);
    std::vector<std::vector<std::int32_t>> found(static_cast<std::size_t>(columns));
    std::mutex appending;
    const std::int64_t blocks = (n_ + kBlockRows - 1) / kBlockRows;
    at::parallel_for(
        0, blocks, grain_for(kBlockRows * columns * d_ / 16), [&](std::int64_t first, std::int64_t last) {
          std::vector<std::pair<std::int32_t, std::int32_t>> hits;
          for (std::int64_t block = first; block < last; ++block)
            meet(*screen, block * kBlockRows, std::min(n_, (block + 1) * kBlockRows), begin, cuts, hits);
          const std::scoped_lock lock(appending);
          for (const auto& [column, row] : hits) found[static_cast<std::size_t>(column)].push_back(row);
        });
    at::parallel_for(0, columns, grain_for(2 * m_ * d_), [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t column = first; column < last; ++column)
        choose(begin + column, found[static_cast<std::size_t>(column)]);
    });
  }

  std::unique_ptr<Screen<T>> make_screen(const at::Tensor& chunk) const {
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
      refuse_rows();  // all that a screen refuses is numbers that are not finite
    }
  }

  /// Of each column a size that its m-th nearest certainly reaches: from its list if that is full, else from
  /// a sample of the rows. Infinite for rows of zeros, which have no neighbours.
  std::vector<T> cuts_of(std::int64_t begin, std::int64_t columns) const {
    std::vector<T> cuts(static_cast<std::size_t>(columns), T(0));
    const std::int64_t stride = std::max<std::int64_t>(1, n_ / kSampleRows);
    at::parallel_for(0, columns, 1, [&](std::int64_t first, std::int64_t last) {
      std::vector<std::int32_t> sample;
      std::vector<T> found(static_cast<std::size_t>(std::max(m_, n_ / stride + 1)));
      for (std::int64_t column = first; column < last; ++column) {
        const std::int64_t row = begin + column;
        if (std::all_of(vector(row), vector(row) + d_, [](T x) { return x == 0; })) {
          cuts[static_cast<std::size_t>(column)] = std::numeric_limits<T>::infinity();
          continue;
        }
        const std::int32_t* others = list(row);
        std::int64_t count = length(row);
        if (count < m_) {
          sample.clear();
          for (std::int64_t other = 0; other < n_; other += stride) {
            if (other != row) sample.push_back(static_cast<std::int32_t>(other));
          }
          others = sample.data();
          count = static_cast<std::int64_t>(sample.size());
        }
        if (count < m_) continue;
        sizes(row, others, count, found.data());
        std::nth_element(found.begin(), found.begin() + (m_ - 1), found.begin() + count, std::greater<T>());
        cuts[static_cast<std::size_t>(column)] = found[static_cast<std::size_t>(m_ - 1)];
      }
    });
    return cuts;
  }

  /// Adds to `hits` each (column, row) of the rows [first, last) that could reach the column's cut.
  void meet(const Screen<T>& screen, std::int64_t first, std::int64_t last, std::int64_t begin,
            const std::vector<T>& cuts, std::vector<std::pair<std::int32_t, std::int32_t>>& hits) const {
    const std::int64_t columns = screen.features();
    at::Tensor product = at::empty({last - first, columns}, rows_.options());
    screen.product(first, 0, product);
    const std::array<T, 2> error = screen.tile_error(0, columns);
    std::vector<T> reached(cuts.size());
    std::vector<std::int32_t> found(cuts.size() + 16);
    for (std::int64_t row = first; row < last; ++row) {
      const T* const sizes = product.const_data_ptr<T>() + (row - first) * columns;
      const T slack = screen.row_of_tile(row, 0, columns, sizes, error, nullptr).error;
      for (std::size_t i = 0; i < cuts.size(); ++i) reached[i] = cuts[i] - slack;
      const std::int64_t count = best_kernels<T>().scan_absolute(
          sizes, columns, std::numeric_limits<T>::infinity(), reached.data(), found.data());
      for (std::int64_t i = 0; i < count; ++i) {
        if (begin + found[static_cast<std::size_t>(i)] == row) continue;
        hits.emplace_back(found[static_cast<std::size_t>(i)], static_cast<std::int32_t>(row));
      }
    }
  }

  /// The list of `row` out of candidates in any order.
  void choose(std::int64_t row, std::vector<std::int32_t>& candidates) {
    std::sort(candidates.begin(), candidates.end());
    std::vector<T> found(candidates.size());
    sizes(row, candidates.data(), static_cast<std::int64_t>(candidates.size()), found.data());
    std::vector<Neighbour<T>> ranked;
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (found[i] > 0) ranked.push_back({found[i], candidates[i]});
    }
    keep(row, ranked);
  }

  /// Holds what was in use against the new lists.
  void audit(std::int64_t begin, const std::vector<T>& used) {
    for (std::size_t i = 0; i < used.size(); ++i) {
      const std::int64_t row = begin + static_cast<std::int64_t>(i);
      T nearest = 0;
      if (ties_[row] > 0) sizes(row, list(row), 1, &nearest);
      figures_[sum_found] += used[i] >= nearest ? 1 : 0;
      figures_[sum_deficit] += static_cast<double>(nearest) - static_cast<double>(used[i]);
      figures_[audited] += 1;
    }
  }

  void end_rotation() {
    figures_[recall] = figures_[sum_found] / figures_[audited];
    figures_[deficit] = figures_[sum_deficit] / figures_[audited];
    figures_[sum_found] = figures_[sum_deficit] = figures_[audited] = 0;
    figures_[rotations] += 1;
    if (figures_[deficit] > settings_.tolerance) {
      figures_[period] *= 0.6;
    } else if (figures_[deficit] < settings_.tolerance / 4) {
      figures_[period] *= 2;
    } else if (figures_[deficit] < settings_.tolerance / 2) {
      figures_[period] *= 1.3;
    }
    figures_[period] = std::clamp(figures_[period], kShortestPeriod, kLongestPeriod);
  }

  const at::Tensor rows_;
  const T* data_;
  std::int64_t n_;
  std::int64_t d_;
  std::int64_t m_;
  const NeighbourListSettings& settings_;
  std::int32_t* ids_;
  std::int32_t* ties_;
  double* figures_;
};

/// The nearest of each row as pairs.
ops::Neighbours pairs_of(const at::Tensor& ids, const at::Tensor& ties, const at::Tensor& rows) {
  const std::int64_t n = ids.size(0);
  const std::int32_t* const same = ties.const_data_ptr<std::int32_t>();
  const std::int32_t* const id = ids.const_data_ptr<std::int32_t>();
  std::int64_t pairs = 0;
  for (std::int64_t row = 0; row < n; ++row) pairs += same[row];
  ops::Neighbours found{at::empty({pairs}, at::kLong), at::empty({pairs}, at::kLong),
                        at::empty({pairs}, at::kDouble)};
  auto* const from = found.row.mutable_data_ptr<std::int64_t>();
  auto* const to = found.other.mutable_data_ptr<std::int64_t>();
  auto* const share = found.share.mutable_data_ptr<double>();
  std::int64_t at = 0;
  for (std::int64_t row = 0; row < n; ++row) {
    for (std::int64_t i = 0; i < same[row]; ++i) {
      from[at] = row;
      to[at] = id[row * ids.size(1) + i];
      share[at++] = 1.0 / same[row];
    }
  }
  found.share = found.share.to(rows.scalar_type());
  return found;
}

}  // namespace

void NeighbourLists::prepare(Preparation& preparation, const NeighbourListSettings& settings) {
  settings_ = settings;
  const std::int64_t n = preparation.features;
  const std::int64_t length = std::clamp<std::int64_t>(settings.length, 1, std::max<std::int64_t>(1, n - 1));
  preparation.state("neighbours.ids", ids_, {n, length}, at::kInt);
  preparation.state("neighbours.ties", ties_, {n}, at::kInt);
  preparation.state("neighbours.figures", figures_, {figure_count}, at::kDouble);
  ids_.fill_(-1);
  figures_[period].fill_(std::clamp(settings.period, kShortestPeriod, kLongestPeriod));
}

ops::Neighbours NeighbourLists::nearest(const at::Tensor& unit_rows) {
  ops::detail::check_floating(kNearest, "unit_rows", unit_rows, 2);
  const at::Tensor rows = unit_rows.detach().contiguous();
  ops::detail::by_dtype(
      rows, [&](auto zero) { Rotation<decltype(zero)>(rows, settings_, ids_, ties_, figures_).turn(); });
  return pairs_of(ids_, ties_, rows);
}

std::map<std::string, double> NeighbourLists::report() const {
  const double* const figures = figures_.const_data_ptr<double>();
  if (figures[rotations] > 0) {
    return {{"recall", figures[recall]}, {"deficit", figures[deficit]}, {"period", figures[period]}};
  }
  if (figures[audited] == 0) return {};
  return {{"recall", figures[sum_found] / figures[audited]},
          {"deficit", figures[sum_deficit] / figures[audited]},
          {"period", figures[period]}};
}

}  // namespace regulon
