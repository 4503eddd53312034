#include "core/measure/matching.h"

#include <ATen/ops/abs.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <vector>

#include "core/measure/assignment.h"
#include "core/measure/nearest.h"

namespace regulon::core {
namespace {

/// Cost of a row without a column: above that of every pair, 1 - cosine.
constexpr double kUnmatchedCost = 3;
constexpr std::int64_t kNewCandidates = 8;  ///< that a pass may add to a row

std::size_t place(std::int64_t i) { return static_cast<std::size_t>(i); }

struct Candidate {
  std::int64_t column;
  float cosine;
};

/// Solves for the smaller side as rows.
class DirectionMatcher {
 public:
  DirectionMatcher(at::Tensor rows, at::Tensor columns, const MatchSettings& settings)
      : rows_(std::move(rows)),
        columns_(std::move(columns)),
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
  /// Calls `use(first row, similarities [rows, m])`, for rows `which` of the rows or columns.
  template <class Use>
  void for_blocks(const at::Tensor& queries, const at::Tensor& keys, Use use) const {
    for_cosine_blocks(queries, keys, [&](std::int64_t first, at::Tensor& block) {
      if (settings_.absolute) block.abs_();
      use(first, block);
    });
  }

  void collect_nearest() {
    const std::int64_t n = rows_.size(0);
    const std::int64_t m = columns_.size(0);
    for_blocks(rows_, columns_, [&](std::int64_t first, at::Tensor& block) {
      add(block.topk(std::min(settings_.candidates, m), 1), first, false);
    });
    const std::int64_t few = std::clamp<std::int64_t>(settings_.candidates / 4, 1, n);
    for_blocks(columns_, rows_,
               [&](std::int64_t first, at::Tensor& block) { add(block.topk(few, 1), first, true); });
    for (auto& row : candidates_) tidy(row);
  }

  /// Lists the pairs of a block's best; `transposed`: the block's rows are columns of the problem.
  void add(const std::tuple<at::Tensor, at::Tensor>& best, std::int64_t first, bool transposed) {
    const at::Tensor values = std::get<0>(best).contiguous();
    const at::Tensor ids = std::get<1>(best).contiguous();
    const float* const value = values.const_data_ptr<float>();
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
  static void tidy(std::vector<Candidate>& row) {
    std::sort(row.begin(), row.end(),
              [](const Candidate& x, const Candidate& y) { return x.column < y.column; });
    row.erase(std::unique(row.begin(), row.end(),
                          [](const Candidate& x, const Candidate& y) { return x.column == y.column; }),
              row.end());
  }

  AssignmentPairs listed_pairs() const {
    AssignmentPairs pairs;
    pairs.columns = columns_.size(0);
    pairs.unmatched = kUnmatchedCost;
    pairs.offsets.push_back(0);
    for (const auto& row : candidates_) {
      for (const Candidate& one : row) {
        pairs.column.push_back(one.column);
        pairs.cost.push_back(std::max(0.0, 1.0 - static_cast<double>(one.cosine)));
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
    result.cosine = at::zeros({rows_.size(0)}, at::kFloat);
    std::int64_t* const other = result.other.mutable_data_ptr<std::int64_t>();
    float* const cosine = result.cosine.mutable_data_ptr<float>();
    std::vector<bool> taken(place(columns_.size(0)));
    std::vector<std::int64_t> left;
    for (std::int64_t i = 0; i < rows_.size(0); ++i) {
      if (other[i] < 0) {
        left.push_back(i);
        continue;
      }
      taken[place(other[i])] = true;
      const auto& row = candidates_[place(i)];
      cosine[i] =
          std::lower_bound(row.begin(), row.end(), other[i], [](const Candidate& one, std::int64_t column) {
            return one.column < column;
          })->cosine;
    }
    give_the_rest(left, taken, other, cosine);
    result.mean = result.cosine.to(at::kDouble).mean().item<double>();
    return result;
  }

  void give_the_rest(const std::vector<std::int64_t>& left, const std::vector<bool>& taken,
                     std::int64_t* other, float* cosine) const {
    if (left.empty()) return;
    std::vector<std::int64_t> free;
    for (std::int64_t j = 0; j < columns_.size(0); ++j)
      if (!taken[place(j)]) free.push_back(j);
    std::vector<bool> gone(free.size());
    for_blocks(rows_.index_select(0, at::tensor(left, at::kLong)),
               columns_.index_select(0, at::tensor(free, at::kLong)),
               [&](std::int64_t first, const at::Tensor& block) {
                 for (std::int64_t i = 0; i < block.size(0); ++i) {
                   const float* const values = block.const_data_ptr<float>() + i * block.size(1);
                   std::size_t best = free.size();
                   for (std::size_t j = 0; j < free.size(); ++j) {
                     if (!gone[j] && (best == free.size() || values[j] > values[best])) best = j;
                   }
                   gone[best] = true;
                   other[left[place(first + i)]] = free[best];
                   cosine[left[place(first + i)]] = values[best];
                 }
               });
  }

  /// The dual's value at the matching's prices: no matching has a higher mean. Pairs that would pay at these
  /// prices become candidates.
  double price_all(const Assignment& found) {
    const at::Tensor prices = at::tensor(found.price, at::kDouble);
    const at::Tensor offsets = prices.to(at::kFloat);
    const std::int64_t more = std::min(kNewCandidates, columns_.size(0));
    double sum = 0;
    for_blocks(rows_, columns_, [&](std::int64_t first, at::Tensor& block) {
      const at::Tensor priced = block + offsets;
      auto [values, ids] = priced.topk(more, 1);
      sum += values.select(1, 0).sum(at::kDouble).item<double>();
      add({block.gather(1, ids), ids}, first, false);
    });
    for (auto& row : candidates_) tidy(row);
    // In cosines, a row is worth max_j (cos_ij + price_j), and a column the negative of its price.
    return (sum - offsets.to(at::kDouble).sum().item<double>()) / static_cast<double>(rows_.size(0));
  }

  at::Tensor rows_;
  at::Tensor columns_;
  const MatchSettings& settings_;
  std::vector<std::vector<Candidate>> candidates_;  ///< [rows], by column
};

}  // namespace

Matching match_directions(const at::Tensor& a, const at::Tensor& b, const MatchSettings& settings) {
  const at::NoGradGuard no_grad;
  if (a.size(0) == 0 || b.size(0) == 0) {
    return {at::full({a.size(0)}, -1, at::kLong), at::zeros({a.size(0)}, at::kFloat), 0, 0, true, 0};
  }
  if (a.size(0) <= b.size(0)) return DirectionMatcher(a, b, settings).solve();
  Matching turned = DirectionMatcher(b, a, settings).solve();
  at::Tensor other = at::full({a.size(0)}, -1, at::kLong);
  at::Tensor cosine = at::zeros({a.size(0)}, at::kFloat);
  for (std::int64_t j = 0; j < b.size(0); ++j) {
    const auto i = turned.other[j].item<std::int64_t>();
    other[i] = j;
    cosine[i] = turned.cosine[j];
  }
  turned.other = other;
  turned.cosine = cosine;
  return turned;
}

}  // namespace regulon::core
