#pragma once
/// What the solvers have in common: the job, and a row under way.

#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "solvers/correlations.h"

namespace regulon::solvers::detail {

/// What holds for all rows. Atoms are of length one here: a code f_i of the caller's is f_i |d_i|, and its
/// price lambda * costs_i / |d_i|.
template <typename T>
struct Job {
  explicit Job(const at::Tensor& dictionary) : correlations(dictionary) {}

  Correlations<T> correlations;
  std::vector<T> prices;    ///< [n] lambda * costs_i / |d_i|; empty where lambda is 0
  double lowest_price = 0;  ///< of any atom that is not zero
  bool non_negative = true;
  std::int64_t k = 0;           ///< 0: no limit
  std::int64_t iterations = 0;  ///< 0: the solver's own
  double tolerance = 0;

  bool priced() const { return !prices.empty(); }
};

/// A row and its codes so far. It is scaled by a power of two to a length between one and two, so that
/// nothing over- or underflows; prices are scaled likewise.
template <typename T>
struct Row {
  const T* x = nullptr;           ///< [d], scaled
  T scale = 1;                    ///< of the prices: one over the row's own
  std::vector<T> residual;        ///< [d]: x less the codes' atoms
  std::vector<std::int32_t> ids;  ///< atoms looked at, no order
  std::vector<T> values;          ///< their codes, zeros among them
  std::int64_t iterations = 0;
  bool done = false;
  double objective = 0;
  double gap = 0;

  /// The price of an atom in this row.
  T price(const Job<T>& job, std::int32_t id) const {
    return job.priced() ? job.prices[static_cast<std::size_t>(id)] * scale : T(0);
  }
};

/// residual = x - sum of values times atoms.
template <typename T>
void update_residual(const Job<T>& job, Row<T>& row) {
  std::vector<T> negative(row.values.size());
  for (std::size_t i = 0; i < negative.size(); ++i) negative[i] = -row.values[i];
  const auto& correlations = job.correlations;
  row.residual.resize(static_cast<std::size_t>(correlations.width()));
  correlations.kernels().gather_sum(negative.data(), row.ids.data(),
                                    static_cast<std::int64_t>(row.ids.size()), correlations.atoms(),
                                    correlations.width(), row.x, row.residual.data());
}

/// Sets objective and gap of a row whose residual is up to date. `excess`: the largest correlation over its
/// price, over all atoms; where that is below one, one will do.
template <typename T>
void certify(const Job<T>& job, double excess, Row<T>& row) {
  const std::int64_t d = job.correlations.width();
  double error = 0;
  double inner = 0;
  double size = 0;
  for (std::int64_t j = 0; j < d; ++j) {
    const double x = static_cast<double>(row.x[j]);
    const double r = static_cast<double>(row.residual[static_cast<std::size_t>(j)]);
    error += r * r;
    inner += x * r;
    size += x * x;
  }
  double spent = 0;
  for (std::size_t i = 0; i < row.ids.size(); ++i)
    spent += std::fabs(static_cast<double>(row.values[i])) * static_cast<double>(row.price(job, row.ids[i]));
  row.objective = error / 2 + spent;
  if (!job.priced()) {
    row.gap = std::numeric_limits<double>::quiet_NaN();
    return;
  }
  // The dual's value at theta = s r is |x|^2 / 2 - |x - s r|^2 / 2.
  const double s = 1 / std::max(1.0, excess);
  row.gap = row.objective - (s * inner - s * s * error / 2);
  if (size == 0) row.gap = 0;
}

/// Sets objective and gap of every row of the block, with one sweep over all atoms where there are prices;
/// residuals are up to date.
template <typename T>
void certify_block(const Job<T>& job, std::vector<Row<T>>& rows, typename Correlations<T>::Sweep& sweep);

/// Solves a block of rows (at most kBlockRows) that begin with what ids and values hold; leaves codes,
/// objective, gap and iterations.
template <typename T>
using BlockSolver = void (*)(const Job<T>& job, std::vector<Row<T>>& rows,
                             typename Correlations<T>::Sweep& sweep);

template <typename T>
void solve_omp(const Job<T>& job, std::vector<Row<T>>& rows, typename Correlations<T>::Sweep& sweep);
template <typename T>
void solve_matching_pursuit(const Job<T>& job, std::vector<Row<T>>& rows,
                            typename Correlations<T>::Sweep& sweep);
template <typename T>
void solve_gradient_pursuit(const Job<T>& job, std::vector<Row<T>>& rows,
                            typename Correlations<T>::Sweep& sweep);
template <typename T>
void solve_fista(const Job<T>& job, std::vector<Row<T>>& rows, typename Correlations<T>::Sweep& sweep);
template <typename T>
void solve_coordinate_descent(const Job<T>& job, std::vector<Row<T>>& rows,
                              typename Correlations<T>::Sweep& sweep);

}  // namespace regulon::solvers::detail
