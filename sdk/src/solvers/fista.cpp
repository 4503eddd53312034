#include <algorithm>
#include <cmath>

#include "solvers/working_set.h"

namespace regulon::solvers::detail {
namespace {

constexpr int kPowerSteps = 20;
constexpr int kCheckEvery = 10;    ///< steps
constexpr int kPolishEvery = 100;  ///< steps: what gathers of rounding is thrown out, and momentum with it
constexpr std::int64_t kMostSteps = 20000;

/// No eigenvalue of the working set's Gram matrix is larger (Gershgorin).
template <typename T>
T eigenvalue_bound(const WorkingSet<T>& set) {
  T bound = 1;
  for (std::size_t i = 0; i < set.size(); ++i) {
    T sum = 0;
    for (std::size_t j = 0; j < set.size(); ++j) sum += std::fabs(set.product(i, j));
    bound = std::max(bound, sum);
  }
  return bound;
}

/// An estimate, from below, of the largest eigenvalue of the working set's Gram matrix, by power iteration.
template <typename T>
T largest_eigenvalue(const WorkingSet<T>& set) {
  std::vector<T> vector(set.size(), T(1));
  std::vector<T> next;
  T norm = 0;
  for (int step = 0; step < kPowerSteps; ++step) {
    set.multiply(vector, next);
    double square = 0;
    for (std::size_t i = 0; i < vector.size(); ++i)
      square += static_cast<double>(next[i]) * static_cast<double>(next[i]);
    norm = static_cast<T>(std::sqrt(square));
    if (!(norm > 0)) return 1;
    for (std::size_t i = 0; i < vector.size(); ++i) vector[i] = next[i] / norm;
  }
  return norm;
}

/// FISTA (Beck & Teboulle 2009, "A Fast Iterative Shrinkage-Thresholding Algorithm") whose momentum starts
/// anew where it points uphill (O'Donoghue & Candès 2015, "Adaptive Restart for Accelerated Gradient
/// Schemes", gradient scheme). Steps in floating point come no nearer than some rounding: where signs have
/// settled, a Newton step on what is active ends it. The step is one over the largest eigenvalue of the Gram
/// matrix; since power iteration gives that from below, a step along which the objective curves more makes it
/// larger.
template <typename T>
class Fista {
 public:
  explicit Fista(WorkingSet<T>& set)
      : set_(set),
        curvature_(largest_eigenvalue(set)),
        most_curved_(eigenvalue_bound(set)),
        values_(set.size()),
        momentum_(set.size(), T(0)) {
    set_.multiply(momentum_, gram_momentum_);
  }

  void step() {
    propose();
    while (curvature_ < most_curved_ && curves_more()) {
      curvature_ = std::min(most_curved_, curvature_ * T(1.5));
      propose();
    }
    double uphill = 0;
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const auto by = static_cast<double>(values_[i] - set_.value(i));
      uphill += static_cast<double>(set_.value(i) + momentum_[i] - values_[i]) * by;
    }
    accept(uphill > 0);
  }

 private:
  /// The proximal step from the codes plus momentum; `change_` is from there, `gram_change_` its product.
  void propose() {
    change_.resize(values_.size());
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const T from = set_.value(i) + momentum_[i];
      const T correlation = set_.correlation(i) - gram_momentum_[i];
      values_[i] = set_.shrunk(from + correlation / curvature_, set_.price(i) / curvature_);
      change_[i] = values_[i] - from;
    }
    set_.multiply(change_, gram_change_);
  }

  bool curves_more() const {
    double curved = 0;
    double square = 0;
    for (std::size_t i = 0; i < change_.size(); ++i) {
      curved += static_cast<double>(change_[i]) * static_cast<double>(gram_change_[i]);
      square += static_cast<double>(change_[i]) * static_cast<double>(change_[i]);
    }
    return curved > static_cast<double>(curvature_) * square * (1 + 1e-3);
  }

  void accept(bool restart) {
    const double next = restart ? 1 : (1 + std::sqrt(1 + 4 * pace_ * pace_)) / 2;
    const T share = restart ? T(0) : static_cast<T>((pace_ - 1) / next);
    for (std::size_t i = 0; i < values_.size(); ++i) {
      gram_change_[i] += gram_momentum_[i];
      gram_momentum_[i] = share * gram_change_[i];
      momentum_[i] = share * (values_[i] - set_.value(i));
    }
    pace_ = next;
    set_.replace(values_, gram_change_);
  }

  WorkingSet<T>& set_;
  T curvature_;
  T most_curved_;
  double pace_ = 1;
  std::vector<T> values_;    ///< proposed
  std::vector<T> momentum_;  ///< added to the codes before the next step
  std::vector<T> gram_momentum_;
  std::vector<T> change_;
  std::vector<T> gram_change_;
};

template <typename T>
void fista(WorkingSet<T>& set, double violation) {
  const std::int64_t most = set.job().iterations > 0 ? set.job().iterations : kMostSteps;
  while (set.row().iterations < most) {
    Fista<T> solver(set);
    for (int step = 1; step <= kPolishEvery; ++step) {
      solver.step();
      ++set.row().iterations;
      if (step % kCheckEvery == 0 && set.violation() <= violation) return;
    }
    set.refresh();
    if (set.polish() && set.violation() <= violation) return;
  }
}

}  // namespace

template <typename T>
void solve_fista(const Job<T>& job, std::vector<Row<T>>& rows, typename Correlations<T>::Sweep& sweep) {
  solve_by_working_sets<T>(job, rows, sweep, &fista<T>);
}

template void solve_fista<float>(const Job<float>&, std::vector<Row<float>>&, Correlations<float>::Sweep&);
template void solve_fista<double>(const Job<double>&, std::vector<Row<double>>&,
                                  Correlations<double>::Sweep&);

}  // namespace regulon::solvers::detail
