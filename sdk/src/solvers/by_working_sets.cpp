#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "solvers/scores.h"
#include "solvers/working_set.h"

namespace regulon::solvers::detail {
namespace {

constexpr std::size_t kFirstAtoms = 48;  ///< that a working set grows by at first
constexpr double kNear = 0.75;           ///< of its price: what correlates with less is not near
constexpr int kLocalRounds = 8;          ///< between two sweeps
constexpr int kStalls = 4;               ///< rounds without a smaller gap that end a row
constexpr std::int64_t kMostRounds = 200;

/// A row between its sweeps.
template <typename T>
class Refinement {
 public:
  Refinement(const Job<T>& job, Row<T>& row, WorkingSetSolver<T> solver)
      : job_(job), row_(row), solver_(solver), set_(job, row) {
    if (set_.size() > 0) fit();
  }

  /// The share of its price above which the next sweep should list an atom.
  double near() const { return std::sqrt(2 * gap_) < lowest_price() ? kNear : 1; }

  /// Uses what the sweep found: `ids` holds every atom whose correlation is above `near()` of its price.
  /// Marks the row as done when its gap over all atoms is small enough, or can get no smaller.
  void advance(const std::vector<std::int32_t>& ids, double near) {
    look(ids);
    if (is_small(1) || stalled() || ++rounds_ >= kMostRounds || out_of_passes()) {
      row_.done = true;
      return;
    }
    // No atom that is not near can be active at the optimum, within this sphere around the dual point.
    const bool is_safe = near < 1 && std::sqrt(2 * gap_) < (1 - near) * lowest_price();
    grow_and_fit();
    for (int local = 0; is_safe && local < kLocalRounds && !out_of_passes(); ++local) {
      look(ids);
      if (is_small(0.5)) break;
      grow_and_fit();
    }
  }

 private:
  double lowest_price() const { return job_.lowest_price * static_cast<double>(row_.scale); }
  bool out_of_passes() const { return job_.iterations > 0 && row_.iterations >= job_.iterations; }

  bool is_small(double share) const {
    double square = 0;
    for (std::int64_t j = 0; j < job_.correlations.width(); ++j)
      square += static_cast<double>(row_.x[j]) * static_cast<double>(row_.x[j]);
    return gap_ <= share * job_.tolerance * square / 2;
  }

  bool stalled() {
    stalls_ = gap_ < 0.9 * smallest_gap_ ? 0 : stalls_ + 1;
    smallest_gap_ = std::min(smallest_gap_, gap_);
    return stalls_ >= kStalls;
  }

  /// Exact correlations of the listed atoms, and the gap over them.
  void look(const std::vector<std::int32_t>& ids) {
    sizes_.resize(ids.size());
    job_.correlations.dots(row_.residual.data(), ids, sizes_.data());
    double excess = 1;
    violators_.clear();
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const T size = job_.non_negative ? sizes_[i] : std::fabs(sizes_[i]);
      const T price = row_.price(job_, ids[i]);
      if (size <= price) continue;
      violators_.emplace_back(price - size, ids[i]);
      excess = std::max(excess, price > 0 ? static_cast<double>(size) / static_cast<double>(price)
                                          : std::numeric_limits<double>::infinity());
    }
    certify(job_, excess, row_);
    gap_ = row_.gap;
  }

  void grow_and_fit() {
    const std::size_t most = std::max(kFirstAtoms, set_.size() / 2);
    // Those of the working set violate by rounding only, and are few: enough are left behind them.
    const std::size_t looked = std::min(violators_.size(), most + set_.size());
    const auto end = violators_.begin() + static_cast<std::ptrdiff_t>(looked);
    std::partial_sort(violators_.begin(), end, violators_.end());
    violators_.resize(looked);
    std::vector<std::int32_t> added;
    for (const auto& [excess, id] : violators_) {
      if (added.size() == most) break;
      if (!set_.contains(id)) added.push_back(id);
    }
    set_.add(added);
    set_.refresh();
    // Where no atom is missing, only rounding is: another Newton step from the exact gradient.
    if (!added.empty() || !set_.polish()) fit();
    set_.refresh();
  }

  void fit() {
    const double floor = 4 * static_cast<double>(std::numeric_limits<T>::epsilon()) / lowest_price();
    solver_(set_, std::max(floor, 0.01 * job_.tolerance));
    set_.refresh();
  }

  const Job<T>& job_;
  Row<T>& row_;
  WorkingSetSolver<T> solver_;
  WorkingSet<T> set_;
  double gap_ = std::numeric_limits<double>::infinity();
  double smallest_gap_ = std::numeric_limits<double>::infinity();
  int stalls_ = 0;
  std::int64_t rounds_ = 0;
  std::vector<T> sizes_;
  std::vector<std::pair<T, std::int32_t>> violators_;  ///< least first, by price less size
};

template <typename T>
using Refinements = std::vector<std::unique_ptr<Refinement<T>>>;

/// One sweep for the rows that are not done; false if all are.
template <typename T>
bool refine_all(const Job<T>& job, std::vector<Row<T>>& rows, Refinements<T>& refinements,
                typename Correlations<T>::Sweep& sweep) {
  std::vector<std::size_t> active;
  std::vector<const T*> residuals;
  std::vector<double> nears;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].done) continue;
    active.push_back(i);
    residuals.push_back(rows[i].residual.data());
    nears.push_back(refinements[i]->near());
  }
  if (active.empty()) return false;
  std::vector<std::vector<std::int32_t>> found(active.size());
  sweep.run(
      residuals, [&](std::size_t row, std::int64_t first, std::int64_t count, const T* products, T error) {
        Scores<T> scores = scores_of<T>(job, rows[active[row]], first);
        scores.scale *= static_cast<T>(nears[row]);
        each_above(scores, products, count, -error,
                   [&](std::int64_t i, T) { found[row].push_back(static_cast<std::int32_t>(first + i)); });
      });
  for (std::size_t i = 0; i < active.size(); ++i) refinements[active[i]]->advance(found[i], nears[i]);
  return true;
}

}  // namespace

template <typename T>
void solve_by_working_sets(const Job<T>& job, std::vector<Row<T>>& rows,
                           typename Correlations<T>::Sweep& sweep, WorkingSetSolver<T> solver) {
  Refinements<T> refinements;
  for (Row<T>& row : rows) refinements.push_back(std::make_unique<Refinement<T>>(job, row, solver));
  while (refine_all(job, rows, refinements, sweep)) {
  }
}

template void solve_by_working_sets<float>(const Job<float>&, std::vector<Row<float>>&,
                                           Correlations<float>::Sweep&, WorkingSetSolver<float>);
template void solve_by_working_sets<double>(const Job<double>&, std::vector<Row<double>>&,
                                            Correlations<double>::Sweep&, WorkingSetSolver<double>);

}  // namespace regulon::solvers::detail
