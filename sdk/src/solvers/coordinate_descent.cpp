#include <algorithm>

#include "solvers/working_set.h"

namespace regulon::solvers::detail {
namespace {

constexpr int kActivePasses = 15;  ///< over codes that are not zero, for each over all of the working set

/// One pass over the working set, or over what of it is not zero.
template <typename T>
void descend(WorkingSet<T>& set, bool active_only) {
  for (std::size_t i = 0; i < set.size(); ++i) {
    const T value = set.value(i);
    if (active_only && value == 0) continue;
    const T square = set.square(i);
    if (!(square > 0)) continue;
    const T next = set.shrunk(set.correlation(i) + square * value, set.price(i)) / square;
    if (next != value) set.move(i, next - value);
  }
}

/// Cyclic coordinate descent (Friedman et al. 2010, "Regularization Paths for Generalized Linear Models via
/// Coordinate Descent", section 2.2). Once signs have settled, a Newton step on what is active ends it.
template <typename T>
void coordinate_descent(WorkingSet<T>& set, double violation) {
  const std::int64_t most = set.job().iterations > 0 ? set.job().iterations : 10000;
  while (set.row().iterations < most) {
    descend(set, false);
    for (int pass = 0; pass < kActivePasses; ++pass) descend(set, true);
    set.row().iterations += 1 + kActivePasses;
    if (set.violation() <= violation) return;
    if (set.polish() && set.violation() <= violation) return;
  }
}

}  // namespace

template <typename T>
void solve_coordinate_descent(const Job<T>& job, std::vector<Row<T>>& rows,
                              typename Correlations<T>::Sweep& sweep) {
  solve_by_working_sets<T>(job, rows, sweep, &coordinate_descent<T>);
}

template void solve_coordinate_descent<float>(const Job<float>&, std::vector<Row<float>>&,
                                              Correlations<float>::Sweep&);
template void solve_coordinate_descent<double>(const Job<double>&, std::vector<Row<double>>&,
                                               Correlations<double>::Sweep&);

}  // namespace regulon::solvers::detail
