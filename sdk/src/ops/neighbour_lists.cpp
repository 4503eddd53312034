#include <ATen/ops/empty.h>
#include <regulon/error.h>
#include <regulon/neighbour_lists.h>

#include <algorithm>
#include <limits>

#include "ops/list_rotation.h"
#include "ops/neighbour_table.h"
#include "ops/support.h"

namespace regulon {
namespace {

namespace detail = ops::detail;

constexpr const char* kNearest = "NeighbourLists::nearest";

/// The rank-th nearest of each row from `first` on, as pairs.
ops::Neighbours pairs_of(const detail::NeighbourTable& table, std::int64_t first, const at::Tensor& rows) {
  std::int64_t pairs = 0;
  for (std::int64_t row = first; row < table.rows(); ++row) pairs += table.ties(row);
  ops::Neighbours found{at::empty({pairs}, at::kLong), at::empty({pairs}, at::kLong),
                        at::empty({pairs}, at::kDouble)};
  auto* const from = found.row.mutable_data_ptr<std::int64_t>();
  auto* const to = found.other.mutable_data_ptr<std::int64_t>();
  auto* const share = found.share.mutable_data_ptr<double>();
  std::int64_t at = 0;
  for (std::int64_t row = first; row < table.rows(); ++row) {
    const std::int64_t ties = table.ties(row);
    for (std::int64_t i = 0; i < ties; ++i) {
      from[at] = row;
      to[at] = table.wanted(row)[i];
      share[at++] = 1.0 / static_cast<double>(ties);
    }
  }
  found.share = found.share.to(rows.scalar_type());
  return found;
}

/// What `settings` says about the first rotation, for a run as `preparation` tells.
double first_period(const NeighbourListSettings& settings, const Preparation& preparation) {
  constexpr double kUsualPeriod = 80;
  constexpr double kProductsOfPeriod = 20;
  if (settings.renew_every > 0) return static_cast<double>(settings.renew_every);
  double period = settings.period > 0 ? settings.period : kUsualPeriod;
  if (settings.period <= 0 && preparation.batch_rows > 0) {
    period = std::max(period, kProductsOfPeriod * static_cast<double>(preparation.features) /
                                  static_cast<double>(preparation.batch_rows));
  }
  return std::clamp(period, detail::kShortestPeriod, detail::kLongestPeriod);
}

}  // namespace

void NeighbourLists::prepare(Preparation& preparation, const NeighbourListSettings& settings) {
  settings_ = settings;
  settings_.rank_every = std::max<std::int64_t>(1, settings.rank_every);
  settings_.rank = std::max<std::int64_t>(1, settings.rank);
  const std::int64_t n = preparation.features;
  // The last places of a list are the least certain: the wanted one is to lie well inside.
  const std::int64_t length = std::max(settings.length, settings_.rank + settings_.rank / 2);
  const std::int64_t most = std::clamp<std::int64_t>(length, 1, std::max<std::int64_t>(1, n - 1));
  preparation.state("neighbours.ids", ids_, {n, most}, at::kInt);
  preparation.state("neighbours.places", places_, {n, 2}, at::kInt);
  preparation.state("neighbours.reach", reach_, {n}, at::kFloat);
  preparation.state("neighbours.figures", figures_, {detail::list_figure_count}, at::kDouble);
  ids_.fill_(-1);
  reach_.fill_(std::numeric_limits<float>::infinity());
  figures_[detail::list_period].fill_(first_period(settings, preparation));
}

ops::Neighbours NeighbourLists::nearest(const at::Tensor& unit_rows, std::int64_t first) {
  detail::check_floating(kNearest, "unit_rows", unit_rows, 2);
  if (!ids_.defined() || unit_rows.size(0) != ids_.size(0)) {
    detail::fail(kNearest, "the rows are not those that lists were prepared for",
                 ids_.defined() ? std::to_string(ids_.size(0)) + " rows" : "a call of prepare",
                 detail::text_of(unit_rows));
  }
  const at::Tensor rows = unit_rows.detach().contiguous();
  detail::NeighbourTable table(ids_, places_, reach_, settings_.rank);
  detail::by_dtype(rows, [&](auto zero) {
    detail::ListRotation<decltype(zero)>(rows, settings_, table, figures_, first).turn();
  });
  return pairs_of(table, first, rows);
}

std::map<std::string, double> NeighbourLists::report() const {
  const double* const figures = figures_.const_data_ptr<double>();
  if (figures[detail::list_rotations] > 0) {
    return {{"recall", figures[detail::list_recall]},
            {"deficit", figures[detail::list_deficit]},
            {"period", figures[detail::list_period]}};
  }
  const double audited = figures[detail::list_audited];
  if (audited == 0) return {};
  return {{"recall", figures[detail::list_sum_found] / audited},
          {"deficit", figures[detail::list_sum_deficit] / audited},
          {"period", figures[detail::list_period]}};
}

}  // namespace regulon
