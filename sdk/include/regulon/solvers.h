#pragma once
/// Inference-time sparse coding: the codes that a dictionary could have, by solving for them row by row,
/// instead of those that an encoder guesses.
///
/// Of a row x [d], with dictionary rows d_i and y = x - bias, the codes f minimise
///
///     1/2 |y - sum_i f_i d_i|^2 + lambda * sum_i costs_i |f_i|      (f >= 0 unless signed codes are asked
///     for)
///
/// (basis pursuit denoising; Chen, Donoho & Saunders 1998), or its first part alone with at most k entries.
/// Solved in blocks of rows over threads, each row by one thread: the same bits for every number of threads.
/// Memory beside the dictionary (which is kept once more as unit rows, and in bfloat16) is what the rows
/// under way need: the square of their active features, never n x n. Float and double; no gradient.

#include <ATen/core/Tensor.h>
#include <regulon/codes.h>
#include <regulon/selection.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace regulon::solvers {

/// What is to be solved.
struct Problem {
  at::Tensor rows;        ///< [B, d] float or double, on the CPU, finite; rows of zeros have no codes
  at::Tensor dictionary;  ///< [n, d], finite; of any length: a row of zeros is never used
  at::Tensor bias;        ///< [d] or undefined: taken off every row first
  at::Tensor costs;  ///< [n], at least 0, or undefined (all one): of lambda; k counts features, not costs
};

/// How it is to be solved.
struct Settings {
  std::string solver = "cd";    ///< one of `all()`
  bool non_negative = true;     ///< false: codes of both signs
  double lambda = 0;            ///< price of a code; lasso solvers need one above 0, pursuits may do without
  std::int64_t k = 0;           ///< features a row at most; 0: no limit. Only pursuits have one
  double tolerance = 1e-6;      ///< lasso solvers stop a row at a duality gap of this share of |y|^2 / 2
  std::int64_t iterations = 0;  ///< of a row at most; 0: as many as the solver thinks fit
};

/// What came out; all without gradient.
struct Solution {
  /// [B, n]: entries other than zero, in the dtype of the rows. Of signed codes the negative ones are listed,
  /// though not *active* in the sense of `Codes`.
  Codes codes;
  at::Tensor objective;  ///< [B] double: the objective above, with these codes
  /// [B] double: the objective less the dual's value, which bounds how far it is above the optimum. The
  /// dual point is the residual over max(1, max_i <d_i, residual> / (lambda * costs_i)) (signed: |<…>|), as
  /// of Kim et al. 2007, "An interior-point method for large-scale l1-regularized least squares", eq. 11.
  /// NaN where lambda is 0: the best k features have no certificate that could be computed.
  at::Tensor gap;
  at::Tensor iterations;  ///< [B] int64: atoms tried (pursuits), passes over the working set (lasso solvers)
};

/// A solver as listed.
struct Solver {
  std::string name;
  std::string summary;  ///< one line
  bool pursuit =
      false;  ///< takes k, lambda or both, and ends where nothing gains; else: takes lambda, to its tolerance
};

/// All solvers: omp, matching_pursuit, gradient_pursuit, fista, cd.
const std::vector<Solver>& all();

/// Whether `name` is one of the pursuits; false for a name that no solver has.
bool is_pursuit(const std::string& name);

/// Throws InputError unless `settings` make sense for n features: a known solver, a finite lambda of at least
/// 0 (above 0 for lasso solvers), k from 0 to n (0 for lasso solvers; above 0 for pursuits without lambda), a
/// finite tolerance above 0, iterations of at least 0.
void check(const Settings& settings, std::int64_t n);

/// Solves every row. `start` [B, n]: codes to begin with, as another encoder made them: lasso solvers come to
/// the same answer sooner; pursuits keep the k largest as their first features, and fit those first. Entries
/// that the settings do not allow (negative ones) are left out.
///
/// Of atoms that are the same, the lower id is tried first, and pursuits use one only; lasso solvers may
/// split between them. Pursuits choose by <d_i, residual> / |d_i|, so the length of dictionary rows does not
/// matter to k. Throws InputError as `check` does; RunError on shapes, dtypes, or numbers that are not
/// finite, naming the first such row.
Solution solve(const Problem& problem, const Settings& settings, const std::optional<Codes>& start = {});

/// What a selection keeps of codes that are there already, such as a solver's: each listed value that is
/// above zero counts as a pre-activation of its feature, all others as none. Thresholds get their
/// straight-through gradient, in the values and in the channel "open", as `ops::select_product` gives it; the
/// values of `codes` get none. Throws RunError where k is below 1.
Codes select(const Codes& codes, const Selection& selection);

}  // namespace regulon::solvers
