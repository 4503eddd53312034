#pragma once
/// Pursuits: one atom at a time, the one that the residual correlates with best.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "solvers/job.h"
#include "solvers/scores.h"

namespace regulon::solvers::detail {

/// The best atom of a row: none where nothing gains.
template <typename T>
struct BestAtom {
  std::int32_t id = -1;
  T correlation = 0;
};

/// Keeps the atoms that could be the best by quick products, and tells them apart by exact ones.
template <typename T>
class BestFinder {
 public:
  void see(const Scores<T>& scores, std::int64_t first, std::int64_t count, const T* products, T error) {
    const T top = top_score(scores, products, count);
    error_ = 2 * error;
    if (top < top_ - error_) return;
    top_ = std::max(top_, top);
    // Below, not at, so that what equals the cut is kept.
    const T cut = std::nextafter(top_ - error_, std::numeric_limits<T>::lowest());
    each_above(scores, products, count, cut, [&](std::int64_t i, T score) {
      ids_.push_back(static_cast<std::int32_t>(first + i));
      scores_.push_back(score);
    });
  }

  /// The atom with the largest exact score, if that is above what rounding can make; equal: the lower id.
  BestAtom<T> best(const Job<T>& job, const Row<T>& row) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < ids_.size(); ++i) {
      if (scores_[i] >= top_ - error_) ids_[kept++] = ids_[i];
    }
    ids_.resize(kept);
    scores_.resize(kept);
    job.correlations.dots(row.residual.data(), ids_, scores_.data());
    BestAtom<T> best;
    T largest = 64 * std::numeric_limits<T>::epsilon();
    for (std::size_t i = 0; i < kept; ++i) {
      const T correlation = scores_[i];
      const T score = (job.non_negative ? correlation : std::fabs(correlation)) - row.price(job, ids_[i]);
      if (score > largest) {
        largest = score;
        best = {ids_[i], correlation};
      }
    }
    return best;
  }

 private:
  T top_ = std::numeric_limits<T>::lowest();
  T error_ = 0;
  std::vector<std::int32_t> ids_;
  std::vector<T> scores_;
};

/// What a pursuit does to a row with an atom; one per row, made for the row's whole time.
template <typename T>
class PursuitRow {
 public:
  PursuitRow(const Job<T>& job, Row<T>& row) : job_(job), row_(row) {}
  virtual ~PursuitRow() = default;
  PursuitRow(const PursuitRow&) = delete;
  PursuitRow& operator=(const PursuitRow&) = delete;

  /// Fits what the row begins with, and its residual.
  virtual void start() = 0;
  /// Takes an atom in, with its residual updated; false if nothing came of it, which ends the row.
  virtual bool take(const BestAtom<T>& atom) = 0;

 protected:
  /// The place of an atom in the row, or the number of atoms there.
  std::size_t place_of(std::int32_t id) const {
    return static_cast<std::size_t>(std::find(row_.ids.begin(), row_.ids.end(), id) - row_.ids.begin());
  }
  const Job<T>& job_;
  Row<T>& row_;
};

template <typename T>
bool is_full(const Job<T>& job, const Row<T>& row) {
  return job.k > 0 && static_cast<std::int64_t>(row.ids.size()) >= job.k;
}

/// Steps of a pursuit that has neither run out of features nor of gains: repeated choices count.
template <typename T>
std::int64_t most_iterations(const Job<T>& job) {
  if (job.iterations > 0) return job.iterations;
  return job.k > 0 ? 4 * job.k + 16 : 4 * job.correlations.width() + 16;
}

/// One step of all rows that are not done: a sweep, then each takes its best atom.
template <typename T>
void pursue_step(const Job<T>& job, std::vector<Row<T>*>& active, const std::vector<PursuitRow<T>*>& pursuits,
                 typename Correlations<T>::Sweep& sweep) {
  std::vector<const T*> residuals;
  residuals.reserve(active.size());
  for (const Row<T>* row : active) residuals.push_back(row->residual.data());
  std::vector<BestFinder<T>> finders(active.size());
  sweep.run(residuals,
            [&](std::size_t row, std::int64_t first, std::int64_t count, const T* products, T error) {
              finders[row].see(scores_of<T>(job, *active[row], first), first, count, products, error);
            });
  for (std::size_t i = 0; i < active.size(); ++i) {
    Row<T>& row = *active[i];
    const BestAtom<T> best = finders[i].best(job, row);
    ++row.iterations;
    row.done = best.id < 0 || !pursuits[i]->take(best) || is_full(job, row) ||
               row.iterations >= most_iterations(job);
  }
}

/// Runs `Pursuit` (derived from PursuitRow) on a block of rows.
template <template <typename> class Pursuit, typename T>
void pursue(const Job<T>& job, std::vector<Row<T>>& rows, typename Correlations<T>::Sweep& sweep) {
  std::vector<std::unique_ptr<Pursuit<T>>> pursuits;
  for (Row<T>& row : rows) {
    pursuits.push_back(std::make_unique<Pursuit<T>>(job, row));
    pursuits.back()->start();
    row.done = is_full(job, row);
  }
  for (;;) {
    std::vector<Row<T>*> active;
    std::vector<PursuitRow<T>*> theirs;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (rows[i].done) continue;
      active.push_back(&rows[i]);
      theirs.push_back(pursuits[i].get());
    }
    if (active.empty()) break;
    pursue_step(job, active, theirs, sweep);
  }
  certify_block(job, rows, sweep);
}

}  // namespace regulon::solvers::detail
