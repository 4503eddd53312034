#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <regulon/ops.h>
#include <regulon/solvers.h>

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "ops/support.h"
#include "ops/window_kernel.h"

namespace regulon::solvers {
namespace {

/// Positions of entries, ascending, and what is made of them.
using Entries = std::vector<std::int64_t>;

/// `by_feature` [n] or [1], or nothing, for each entry: [entries].
at::Tensor of_entries(const at::Tensor& by_feature, const Codes& codes, double otherwise) {
  if (!by_feature.defined()) return at::full({codes.entries()}, otherwise, codes.values().options());
  if (by_feature.size(0) == 1 && codes.features() != 1) return by_feature.expand({codes.entries()});
  return by_feature.index_select(0, codes.feature_ids());
}

at::Tensor scores_of(const Codes& codes, const Selection& selection) {
  at::Tensor scores = codes.values().detach();
  if (selection.score_shift.defined()) scores = scores - of_entries(selection.score_shift.detach(), codes, 0);
  if (selection.score_scale.defined()) scores = scores * of_entries(selection.score_scale.detach(), codes, 1);
  return scores.contiguous();
}

/// The entries that may be chosen at all, of each row.
std::vector<Entries> candidates_of(const Codes& codes, const Selection& selection) {
  std::vector<char> may(static_cast<std::size_t>(codes.features()), selection.only.defined() ? 0 : 1);
  if (selection.only.defined()) {
    const at::Tensor only = selection.only.contiguous();
    for (std::int64_t i = 0; i < only.size(0); ++i)
      may.at(static_cast<std::size_t>(only.const_data_ptr<std::int64_t>()[i])) = 1;
  }
  const at::Tensor positive = (codes.values().detach() > 0).contiguous();
  const auto* const offsets = codes.row_offsets().const_data_ptr<std::int64_t>();
  const auto* const ids = codes.feature_ids().const_data_ptr<std::int32_t>();
  std::vector<Entries> rows(static_cast<std::size_t>(codes.rows()));
  for (std::int64_t row = 0; row < codes.rows(); ++row) {
    for (std::int64_t e = offsets[row]; e < offsets[row + 1]; ++e) {
      if (positive.const_data_ptr<bool>()[e] && may[static_cast<std::size_t>(ids[e])] != 0)
        rows[static_cast<std::size_t>(row)].push_back(e);
    }
  }
  return rows;
}

/// Of `entries` the best by score, in order while their prices stay within `budget`; ascending.
Entries best_of(Entries entries, const at::Tensor& scores, const at::Tensor& prices, double budget) {
  const at::Tensor score = scores.to(at::kDouble);
  const at::Tensor price = prices.to(at::kDouble).contiguous();
  const auto* const s = score.const_data_ptr<double>();
  std::stable_sort(entries.begin(), entries.end(),
                   [&](std::int64_t a, std::int64_t b) { return s[a] > s[b]; });
  double spent = 0;
  std::size_t kept = 0;
  for (; kept < entries.size(); ++kept) {
    spent += price.const_data_ptr<double>()[entries[kept]];
    if (spent > budget) break;
  }
  entries.resize(kept);
  std::sort(entries.begin(), entries.end());
  return entries;
}

Entries ranked(const Codes& codes, const Selection& selection) {
  const at::Tensor scores = scores_of(codes, selection);
  const at::Tensor prices =
      of_entries(selection.prices.defined() ? selection.prices.detach() : at::Tensor(), codes, 1)
          .contiguous();
  const auto k = static_cast<double>(selection.k);
  Entries all;
  for (const Entries& row : candidates_of(codes, selection)) {
    const bool by_row = selection.scope == Selection::Scope::row;
    const Entries kept = by_row ? best_of(row, scores, prices, k) : row;
    all.insert(all.end(), kept.begin(), kept.end());
  }
  if (selection.scope == Selection::Scope::row) return all;
  return best_of(std::move(all), scores, prices, k * static_cast<double>(codes.rows()));
}

/// The codes at `kept`, with the values given per entry of `codes`.
Codes listed(const Codes& codes, const Entries& kept, const at::Tensor& values, const at::Tensor& open) {
  at::Tensor offsets = at::empty({codes.rows() + 1}, at::kLong);
  const auto* const from = codes.row_offsets().const_data_ptr<std::int64_t>();
  auto* const to = offsets.mutable_data_ptr<std::int64_t>();
  for (std::int64_t row = 0; row <= codes.rows(); ++row)
    to[row] = std::lower_bound(kept.begin(), kept.end(), from[row]) - kept.begin();
  at::Tensor places = at::empty({static_cast<std::int64_t>(kept.size())}, at::kLong);
  std::copy(kept.begin(), kept.end(), places.mutable_data_ptr<std::int64_t>());
  const Codes chosen = Codes::sparse(codes.features(), offsets, codes.feature_ids().index_select(0, places),
                                     values.index_select(0, places));
  return open.defined() ? chosen.with_channel("open", open.index_select(0, places)) : chosen;
}

Codes above_threshold(const Codes& codes, const Selection& selection) {
  const at::Tensor z = codes.values().detach();
  const at::Tensor theta = of_entries(selection.thresholds, codes, 0);
  const at::Tensor distance = (scores_of(codes, selection) - theta.detach()).contiguous();
  const at::Tensor passes = distance > 0;
  const at::Tensor near = selection.window > 0 ? distance.abs() <= selection.window / 2 : passes;
  Entries kept;
  const at::Tensor wanted = passes.logical_or(near).contiguous();
  for (const Entries& row : candidates_of(codes, selection)) {
    std::copy_if(row.begin(), row.end(), std::back_inserter(kept),
                 [&](std::int64_t e) { return wanted.const_data_ptr<bool>()[e]; });
  }
  at::Tensor open = passes.to(z.scalar_type());
  if (!(selection.window > 0)) return listed(codes, kept, z * open, {});
  const at::Tensor slope =
      ops::detail::window_kernel(selection.kernel, distance, selection.window) / selection.window;
  open = open - slope * (theta - theta.detach());
  // At the threshold a code jumps by the pre-activation that just passes.
  const at::Tensor thresholds =
      selection.thresholds.defined() ? selection.thresholds.detach() : at::zeros({1}, z.options());
  const at::Tensor edge = of_entries(ops::threshold_edges(selection, thresholds), codes, 0);
  return listed(codes, kept, z * open.detach() + edge * (open - open.detach()), open);
}

}  // namespace

Codes select(const Codes& codes, const Selection& selection) {
  if (selection.family == Selection::Family::threshold) return above_threshold(codes, selection);
  if (selection.k < 1)
    ops::detail::fail("select", "cannot use k", "at least 1", fmt::format("{}", selection.k));
  return listed(codes, ranked(codes, selection), codes.values().detach(), {});
}

}  // namespace regulon::solvers
