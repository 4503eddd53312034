#pragma once
/// The lasso on a working set: the few atoms of a row that may be active, with the products among them.

#include <cstdint>
#include <vector>

#include "solvers/cholesky.h"
#include "solvers/job.h"

namespace regulon::solvers::detail {

/// One row's problem over its working set W (Row::ids): minimise 1/2 |r|^2 + sum of prices times |codes|. It
/// keeps the gradient by the Gram matrix of W alone, [|W|, |W|].
template <typename T>
class WorkingSet {
 public:
  WorkingSet(const Job<T>& job, Row<T>& row);

  std::size_t size() const { return row_.ids.size(); }
  bool contains(std::int32_t id) const;
  /// Adds atoms that are not there, with codes of zero.
  void add(const std::vector<std::int32_t>& ids);
  /// Makes residual and gradient anew from the codes: what a fit gathered of rounding is gone.
  void refresh();

  T value(std::size_t i) const { return row_.values[i]; }
  T price(std::size_t i) const { return prices_[i]; }
  T product(std::size_t i, std::size_t j) const { return gram_[i * capacity_ + j]; }
  T square(std::size_t i) const { return product(i, i); }  ///< |atom|^2
  /// <atom, residual> by the codes as they are.
  T correlation(std::size_t i) const { return correlations_[i]; }
  /// Moves a code, and all correlations with it.
  void move(std::size_t i, T by);
  /// The code that alone would be best at `z` = correlation + square * code, times the square: z brought
  /// towards zero by the price; zero for negative ones where none may be.
  T shrunk(T z, T price) const;
  /// How far the codes are from optimal over W: the largest violation of a KKT condition, over its price.
  double violation() const;
  /// out = Gram matrix times `vector` [size()].
  void multiply(const std::vector<T>& vector, std::vector<T>& out) const;
  /// Replaces all codes, given the Gram matrix times their change.
  void replace(const std::vector<T>& values, const std::vector<T>& gram_change);
  /// A Newton step on the codes that are not zero: to their optimum with these signs, or as far as the first
  /// of them reaches zero. Returns false if it could not be made or was cut short.
  bool polish();

  const Job<T>& job() const { return job_; }
  Row<T>& row() { return row_; }

 private:
  void reserve(std::size_t count);

  const Job<T>& job_;
  Row<T>& row_;
  std::size_t capacity_ = 0;
  std::vector<T> gram_;  ///< [capacity, capacity], of which the first size() rows and columns are in use
  std::vector<T> prices_;
  std::vector<T> correlations_;  ///< [capacity]: the kernels move whole rows
  Cholesky factor_;
};

/// Brings a working set to a violation of at most `violation`, counting passes in the row's iterations.
template <typename T>
using WorkingSetSolver = void (*)(WorkingSet<T>& set, double violation);

/// Solves a block of rows: sweeps over all atoms find what violates the optimality conditions, working sets
/// grow by it, until the duality gap over all atoms is small enough.
///
/// As Johnson & Guestrin 2015, "Blitz", and Massias et al. 2018, "Celer: a fast solver for the lasso with
/// dual extrapolation", do; a row leaves the sweeps as soon as a gap-safe sphere (Ndiaye et al. 2017, "Gap
/// Safe screening rules for sparsity enforcing penalties", eq. 10) rules out all atoms but a short list, and
/// comes back for its last certificate.
template <typename T>
void solve_by_working_sets(const Job<T>& job, std::vector<Row<T>>& rows,
                           typename Correlations<T>::Sweep& sweep, WorkingSetSolver<T> solver);

}  // namespace regulon::solvers::detail
