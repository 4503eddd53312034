#include <regulon/matching.h>

#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <vector>

#include <regulon/assignment.h>

#include "ops/support.h"
#include "ops/tiles.h"

namespace regulon::ops {
namespace {

/// Cost of a row without a column: above what giving it one can cost, which is one pair's 1 - cosine, or two
/// where the only column left is its own.
constexpr double kUnmatchedCost = 5;
constexpr const char* kMatchRows = "match_rows";
constexpr std::int64_t kNewCandidates = 8;                      ///< that a pass may add to a row
constexpr std::int64_t kBlockProducts = std::int64_t{1} << 23;  ///< at a time
constexpr double kForbidden = -1e30;                            ///< cosine of a row with itself

std::size_t place(std::int64_t i) { return static_cast<std::size_t>(i); }

struct MatchCandidate {
  std::int64_t column;
  double cosine;
};

/// Solves for the smaller side as rows.
class DirectionMatcher {
 public:
  DirectionMatcher(const at::Tensor& rows, const at::Tensor& columns, const MatchSettings& settings)
      : rows_(rows.detach().contiguous()),
        columns_(columns.detach().contiguous()),
        settings_(settings),
        candidates_(place(rows_.size(0))) {}

  Matching solve() {
    collect_nearest();
    Matching result;
    double bound = 2;
    for (std::int64_t pass = 0;; ++pass) {
      const Assignment found = assign(listed_pairs());
      Matching now = complete(found);
      if (pass == 0 || now.mean > result.mean) result = std::move(now);
      if (pass >= settings_.passes) break;
      bound = std::min(bound, price_all(found));
      if (bound - result.mean <= settings_.tolerance) break;
    }
    result.exact = bound - result.mean <= settings_.tolerance;
    result.at_most = result.exact ? result.mean : bound;
    return result;
  }

 private:
  /// Calls `use(first row, similarities [rows, m])`, for rows of `queries` and all of `keys`; `same`: both
  /// are the same, and none may have itself.
  template <class Use>
  void for_blocks(const at::Tensor& queries, const at::Tensor& keys, bool same, Use use) const {
    const std::int64_t most = std::clamp<std::int64_t>(kBlockProducts / keys.size(0), 1, 4096);
    for (std::int64_t first = 0; first < queries.size(0); first += most) {
      const std::int64_t count = std::min(most, queries.size(0) - first);
      at::Tensor block = detail::tiled_product_value(queries.narrow(0, first, count), keys.t());
      if (settings_.absolute) block.abs_();
      if (same) block.diagonal(first).fill_(kForbidden);
      use(first, block);
    }
  }

  /// How many columns a row may have.
  std::int64_t choices() const { return columns_.size(0) - (settings_.no_fixed_points ? 1 : 0); }

  void collect_nearest() {
    const bool same = settings_.no_fixed_points;
    const std::int64_t many = std::min(settings_.candidates, choices());
    const std::int64_t few =
        std::clamp<std::int64_t>(settings_.candidates / 4, 1, rows_.size(0) - (same ? 1 : 0));
    for_blocks(rows_, columns_, same, [&](std::int64_t first, const at::Tensor& block) {
      const auto [values, ids] = block.topk(many, 1);
      add({values, ids}, first, false);
      // Rows that are the columns too have the nearest of both here.
      if (same) add({values.narrow(1, 0, few), ids.narrow(1, 0, few)}, first, true);
    });
    if (!same) {
      for_blocks(columns_, rows_, false,
                 [&](std::int64_t first, const at::Tensor& block) { add(block.topk(few, 1), first, true); });
    }
    for (auto& row : candidates_) tidy(row);
  }

  /// Lists the pairs of a block's best; `transposed`: the block's rows are columns of the problem.
  void add(const std::tuple<at::Tensor, at::Tensor>& best, std::int64_t first, bool transposed) {
    const at::Tensor values = std::get<0>(best).to(at::kDouble).contiguous();
    const at::Tensor ids = std::get<1>(best).contiguous();
    const double* const value = values.const_data_ptr<double>();
    const std::int64_t* const id = ids.const_data_ptr<std::int64_t>();
    for (std::int64_t i = 0; i < ids.size(0); ++i) {
      for (std::int64_t j = 0; j < ids.size(1); ++j) {
        const std::int64_t other = id[i * ids.size(1) + j];
        const std::int64_t row = transposed ? other : first + i;
        candidates_[place(row)].push_back({transposed ? first + i : other, value[i * ids.size(1) + j]});
      }
    }
  }

  /// By column, each once.
  static void tidy(std::vector<MatchCandidate>& row) {
    std::sort(row.begin(), row.end(),
              [](const MatchCandidate& x, const MatchCandidate& y) { return x.column < y.column; });
    row.erase(
        std::unique(row.begin(), row.end(),
                    [](const MatchCandidate& x, const MatchCandidate& y) { return x.column == y.column; }),
        row.end());
  }

  AssignmentPairs listed_pairs() const {
    AssignmentPairs pairs;
    pairs.columns = columns_.size(0);
    pairs.unmatched = kUnmatchedCost;
    pairs.offsets.push_back(0);
    for (const auto& row : candidates_) {
      for (const MatchCandidate& one : row) {
        pairs.column.push_back(one.column);
        pairs.cost.push_back(std::max(0.0, 1.0 - one.cosine));
      }
      pairs.offsets.push_back(static_cast<std::int64_t>(pairs.column.size()));
    }
    return pairs;
  }

  /// The matching with rows that found no candidate given what is left: each in turn the nearest.
  Matching complete(const Assignment& found) const {
    Matching result;
    result.pairs = rows_.size(0);
    result.other = at::tensor(found.column, at::kLong);
    at::Tensor cosines = at::zeros({rows_.size(0)}, at::kDouble);
    std::int64_t* const other = result.other.mutable_data_ptr<std::int64_t>();
    double* const cosine = cosines.mutable_data_ptr<double>();
    std::vector<bool> taken(place(columns_.size(0)));
    std::vector<std::int64_t> left;
    for (std::int64_t i = 0; i < rows_.size(0); ++i) {
      if (other[i] < 0) {
        left.push_back(i);
        continue;
      }
      taken[place(other[i])] = true;
      const auto& row = candidates_[place(i)];
      const auto by_column = [](const MatchCandidate& one, std::int64_t column) {
        return one.column < column;
      };
      cosine[i] = std::lower_bound(row.begin(), row.end(), other[i], by_column)->cosine;
    }
    give_the_rest(left, taken, other, cosine);
    result.cosine = cosines.to(rows_.scalar_type());
    result.mean = cosines.mean().item<double>();
    return result;
  }

  void give_the_rest(const std::vector<std::int64_t>& left, const std::vector<bool>& taken,
                     std::int64_t* other, double* cosine) const {
    if (left.empty()) return;
    std::vector<std::int64_t> free;
    for (std::int64_t j = 0; j < columns_.size(0); ++j)
      if (!taken[place(j)]) free.push_back(j);
    std::vector<bool> gone(free.size());
    const at::Tensor queries = rows_.index_select(0, at::tensor(left, at::kLong));
    const at::Tensor keys = columns_.index_select(0, at::tensor(free, at::kLong));
    for_blocks(queries, keys, false, [&](std::int64_t first, const at::Tensor& block) {
      const at::Tensor sizes = block.to(at::kDouble).contiguous();
      for (std::int64_t i = 0; i < sizes.size(0); ++i) {
        const std::int64_t row = left[place(first + i)];
        give_one(row, sizes.const_data_ptr<double>() + i * sizes.size(1), free, gone, other, cosine);
      }
    });
  }

  /// Gives `row` the nearest of the columns `free` that is not `gone` yet; `sizes`: of its cosines with them.
  void give_one(std::int64_t row, const double* sizes, const std::vector<std::int64_t>& free,
                std::vector<bool>& gone, std::int64_t* other, double* cosine) const {
    std::size_t best = free.size();
    for (std::size_t k = 0; k < free.size(); ++k) {
      if (gone[k] || (settings_.no_fixed_points && free[k] == row)) continue;
      if (best == free.size() || sizes[k] > sizes[best]) best = k;
    }
    if (best == free.size()) {
      trade(row, other, cosine);
      return;
    }
    gone[best] = true;
    other[row] = free[best];
    cosine[row] = sizes[best];
  }

  /// Only its own column is left for `row`: another row takes that, and gives its own away.
  void trade(std::int64_t row, std::int64_t* other, double* cosine) const {
    const std::int64_t partner = row == 0 ? 1 : 0;
    other[row] = other[partner];
    cosine[row] = similarity(row, other[row]);
    other[partner] = row;
    cosine[partner] = similarity(partner, row);
  }

  double similarity(std::int64_t row, std::int64_t column) const {
    const double product = rows_[row].dot(columns_[column]).item<double>();
    return settings_.absolute ? std::abs(product) : product;
  }

  /// The dual's value at the matching's prices: no matching has a higher mean. Pairs that would pay at these
  /// prices become candidates.
  double price_all(const Assignment& found) {
    const at::Tensor prices = at::tensor(found.price, at::kDouble);
    const at::Tensor offsets = prices.to(rows_.scalar_type());
    const std::int64_t more = std::min(kNewCandidates, choices());
    double sum = 0;
    for_blocks(rows_, columns_, settings_.no_fixed_points, [&](std::int64_t first, const at::Tensor& block) {
      const auto [values, ids] = (block + offsets).topk(more, 1);
      sum += values.select(1, 0).sum(at::kDouble).item<double>();
      add({block.gather(1, ids), ids}, first, false);
    });
    for (auto& row : candidates_) tidy(row);
    // In cosines, a row is worth max_j (cos_ij + price_j), and a column the negative of its price.
    return (sum - offsets.sum(at::kDouble).item<double>()) / static_cast<double>(rows_.size(0));
  }

  at::Tensor rows_;
  at::Tensor columns_;
  const MatchSettings& settings_;
  std::vector<std::vector<MatchCandidate>> candidates_;  ///< [rows], by column
};

}  // namespace

Matching match_rows(const at::Tensor& a, const at::Tensor& b, const MatchSettings& settings) {
  detail::check_floating(kMatchRows, "a", a, 2);
  detail::check_floating(kMatchRows, "b", b, 2);
  detail::check_like(kMatchRows, "b", b, {b.size(0), a.size(1)}, a);
  const at::NoGradGuard no_grad;
  const std::int64_t least = settings.no_fixed_points ? 2 : 1;
  if (settings.no_fixed_points) detail::check_like(kMatchRows, "b", b, a.sizes(), a);
  if (a.size(0) < least || b.size(0) < least) {
    return {at::full({a.size(0)}, -1, at::kLong), at::zeros({a.size(0)}, a.options()), 0, 0, true, 0};
  }
  if (a.size(0) <= b.size(0)) return DirectionMatcher(a, b, settings).solve();
  Matching turned = DirectionMatcher(b, a, settings).solve();
  at::Tensor other = at::full({a.size(0)}, -1, at::kLong);
  at::Tensor cosine = at::zeros({a.size(0)}, a.options());
  other.index_put_({turned.other}, at::arange(b.size(0), at::kLong));
  cosine.index_put_({turned.other}, turned.cosine);
  turned.other = other;
  turned.cosine = cosine;
  return turned;
}

}  // namespace regulon::ops
