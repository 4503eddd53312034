#include "solvers/pursuit.h"

namespace regulon::solvers::detail {
namespace {

/// Gradient pursuit: after each atom one step of all codes along their gradient, as long as is best
/// (Blumensath & Davies 2008, "Gradient Pursuits", eq. 6 to 10; with codes of one sign as in Smith 2024,
/// "Inference-Time Optimisation", where codes that would change it become zero).
template <typename T>
class GradientRow final : public PursuitRow<T> {
 public:
  using PursuitRow<T>::PursuitRow;

  void start() override { update_residual(job_, row_); }

  bool take(const BestAtom<T>& atom) override {
    if (this->place_of(atom.id) == row_.ids.size()) {
      row_.ids.push_back(atom.id);
      row_.values.push_back(0);
      signs_.resize(row_.ids.size() - 1);
      signs_.push_back(atom.correlation < 0 ? T(-1) : T(1));
    }
    return step();
  }

 private:
  using PursuitRow<T>::job_;
  using PursuitRow<T>::row_;

  /// The sign of a code, or the one that its atom came in with.
  T sign_of(std::size_t i) const {
    if (row_.values[i] != 0) return row_.values[i] < 0 ? T(-1) : T(1);
    return job_.non_negative || signs_[i] == 0 ? T(1) : signs_[i];
  }

  bool step() {
    const auto& correlations = job_.correlations;
    const auto count = static_cast<std::int64_t>(row_.ids.size());
    gradient_.resize(row_.ids.size());
    correlations.dots(row_.residual.data(), row_.ids, gradient_.data());
    double along = 0;
    for (std::size_t i = 0; i < row_.ids.size(); ++i) {
      gradient_[i] -= sign_of(i) * row_.price(job_, row_.ids[i]);
      along += static_cast<double>(gradient_[i]) * static_cast<double>(gradient_[i]);
    }
    change_.resize(row_.residual.size());
    correlations.kernels().gather_sum(gradient_.data(), row_.ids.data(), count, correlations.atoms(),
                                      correlations.width(), nullptr, change_.data());
    const double square = correlations.kernels().square_sum(change_.data(), correlations.width());
    if (!(square > 0)) return false;  // no step changes the reconstruction
    const T length = static_cast<T>(along / square);
    for (std::size_t i = 0; i < row_.ids.size(); ++i) {
      const T sign = sign_of(i);
      const T value = row_.values[i] + length * gradient_[i];
      const bool keeps_sign = job_.non_negative || job_.priced();
      row_.values[i] = keeps_sign && sign * value < 0 ? T(0) : value;
    }
    update_residual(job_, row_);
    return true;
  }

  std::vector<T> signs_;
  std::vector<T> gradient_;
  std::vector<T> change_;
};

}  // namespace

template <typename T>
void solve_gradient_pursuit(const Job<T>& job, std::vector<Row<T>>& rows,
                            typename Correlations<T>::Sweep& sweep) {
  pursue<GradientRow>(job, rows, sweep);
}

template void solve_gradient_pursuit<float>(const Job<float>&, std::vector<Row<float>>&,
                                            Correlations<float>::Sweep&);
template void solve_gradient_pursuit<double>(const Job<double>&, std::vector<Row<double>>&,
                                             Correlations<double>::Sweep&);

}  // namespace regulon::solvers::detail
