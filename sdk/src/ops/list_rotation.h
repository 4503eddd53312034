#pragma once
/// One call of NeighbourLists: which lists are ranked, which are made anew, and what these tell of the old.

#include <ATen/core/Tensor.h>
#include <regulon/neighbour_lists.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "ops/list_renewal.h"
#include "ops/neighbour_table.h"
#include "ops/row_sizes.h"

namespace regulon::ops::detail {

/// What is kept beside the lists: the places of numbers in `figures`.
enum ListFigure : std::int64_t {
  list_calls,
  list_cursor,
  list_period,
  list_recall,
  list_deficit,
  list_sum_found,
  list_sum_deficit,
  list_audited,
  list_rotations,
  list_checked_deficit,  ///< list_sum_deficit when it was last looked at
  list_checked_rows,     ///< list_audited then
  list_figure_count
};

inline constexpr double kShortestPeriod = 2;
inline constexpr double kLongestPeriod = 1000;

template <typename T>
class ListRotation {
 public:
  /// `rows` [n, d] contiguous; the lists of those from `first` on are kept.
  ListRotation(const at::Tensor& rows, const NeighbourListSettings& settings, NeighbourTable& table,
               const at::Tensor& figures, std::int64_t first)
      : sizes_(rows, settings.absolute),
        settings_(settings),
        table_(table),
        renewal_(rows, sizes_, table),
        figures_(figures.mutable_data_ptr<double>()),
        first_(first),
        n_(rows.size(0)) {}

  void turn();

 private:
  std::pair<std::int64_t, std::int64_t> due() const;
  std::int64_t rank_stride() const;
  void rank_others(std::int64_t begin, std::int64_t end);
  void rank(std::int64_t begin, std::int64_t end, std::int64_t stride);
  void rank_row(std::int64_t row, std::vector<T>& found, std::vector<RankedNeighbour<T>>& ranked);
  std::vector<T> sizes_in_use(std::int64_t begin, std::int64_t end) const;
  void audit(std::int64_t begin, const std::vector<T>& used);
  void hurry();
  void end_rotation();
  std::int64_t calls() const { return static_cast<std::int64_t>(figures_[list_calls]); }

  RowSizes<T> sizes_;
  const NeighbourListSettings& settings_;
  NeighbourTable& table_;
  ListRenewal<T> renewal_;
  double* figures_;
  std::int64_t first_;
  std::int64_t n_;
};

extern template class ListRotation<float>;
extern template class ListRotation<double>;

}  // namespace regulon::ops::detail
