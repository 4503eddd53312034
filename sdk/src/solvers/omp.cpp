#include "solvers/cholesky.h"
#include "solvers/pursuit.h"

namespace regulon::solvers::detail {
namespace {

/// Orthogonal matching pursuit: after each atom, all codes are fitted anew, by a Cholesky factor that grows
/// by a row (Pati et al. 1993; Rubinstein et al. 2008, "Efficient Implementation of the K-SVD Algorithm using
/// Batch Orthogonal Matching Pursuit", without the Gram matrix of all atoms).
///
/// Where codes keep a sign (none is negative, or a price pulls them to zero) the fit is that of Lawson &
/// Hanson 1974, "Solving Least Squares Problems", ch. 23: the step towards the free fit is cut where a code
/// reaches zero, and that atom leaves. With a price and no k this ends at the lasso's optimum.
template <typename T>
class OmpRow final : public PursuitRow<T> {
 public:
  using PursuitRow<T>::PursuitRow;

  void start() override {
    const std::vector<std::int32_t> ids = std::move(row_.ids);
    const std::vector<T> values = std::move(row_.values);
    row_.ids.clear();
    row_.values.clear();
    for (std::size_t i = 0; i < ids.size(); ++i) add(ids[i], values[i], values[i]);
    fit();
    update_residual(job_, row_);
  }

  bool take(const BestAtom<T>& atom) override {
    // An atom that is there already correlates by rounding only.
    if (this->place_of(atom.id) < row_.ids.size() || !add(atom.id, atom.correlation, T(0))) return false;
    fit();
    if (this->place_of(atom.id) == row_.ids.size()) return false;  // it left at once: no gain
    update_residual(job_, row_);
    return true;
  }

 private:
  using PursuitRow<T>::job_;
  using PursuitRow<T>::row_;

  bool keeps_signs() const { return job_.non_negative || job_.priced(); }

  /// Adds an atom whose code has the sign of `towards`; false if it depends on those that are there.
  bool add(std::int32_t id, T towards, T value) {
    const std::size_t count = row_.ids.size();
    products_.resize(count + 1);
    row_.ids.push_back(id);
    job_.correlations.dots(job_.correlations.atom(id), row_.ids, products_.data());
    gram_.assign(products_.begin(), products_.end());
    if (!factor_.push(gram_, 64 * static_cast<double>(std::numeric_limits<T>::epsilon()))) {
      row_.ids.pop_back();
      return false;
    }
    T inner = 0;
    const std::vector<std::int32_t> alone = {id};
    job_.correlations.dots(row_.x, alone, &inner);
    const double sign = towards < 0 ? -1 : 1;
    signs_.push_back(sign);
    target_.push_back(static_cast<double>(inner) - sign * static_cast<double>(row_.price(job_, id)));
    row_.values.push_back(value);
    return true;
  }

  void fit() {
    for (;;) {
      factor_.solve(target_, fitted_);
      const double step = keeps_signs() ? longest_step() : 1;
      for (std::size_t i = 0; i < fitted_.size(); ++i) {
        const auto before = static_cast<double>(row_.values[i]);
        row_.values[i] = static_cast<T>(step < 1 ? before + step * (fitted_[i] - before) : fitted_[i]);
      }
      if (step == 1) return;
      row_.values[blocking_] = 0;
      drop_zeros();
    }
  }

  /// How far codes can go towards the fit until one reaches zero; one if all get there.
  double longest_step() {
    double longest = 1;
    for (std::size_t i = 0; i < fitted_.size(); ++i) {
      const double to = signs_[i] * fitted_[i];
      if (to > 0) continue;
      const double from = std::max(0.0, signs_[i] * static_cast<double>(row_.values[i]));
      const double step = from > 0 ? from / (from - to) : 0;
      if (step < longest || longest == 1) {
        longest = std::min(step, 1 - std::numeric_limits<double>::epsilon());
        blocking_ = i;
      }
    }
    return longest;
  }

  void drop_zeros() {
    for (std::size_t i = row_.ids.size(); i-- > 0;) {
      // What was just added is zero, and yet on its way.
      const bool on_its_way = i != blocking_ && signs_[i] * fitted_[i] > 0;
      if (signs_[i] * static_cast<double>(row_.values[i]) > 0 || on_its_way) continue;
      factor_.remove(i);
      const auto at = static_cast<std::ptrdiff_t>(i);
      row_.ids.erase(row_.ids.begin() + at);
      row_.values.erase(row_.values.begin() + at);
      signs_.erase(signs_.begin() + at);
      target_.erase(target_.begin() + at);
    }
  }

  Cholesky factor_;
  std::vector<double> signs_;   ///< of the codes, where they keep theirs
  std::vector<double> target_;  ///< <atom, x> less its price
  std::vector<double> fitted_;
  std::vector<double> gram_;
  std::vector<T> products_;
  std::size_t blocking_ = 0;
};

}  // namespace

template <typename T>
void solve_omp(const Job<T>& job, std::vector<Row<T>>& rows, typename Correlations<T>::Sweep& sweep) {
  pursue<OmpRow>(job, rows, sweep);
}

template void solve_omp<float>(const Job<float>&, std::vector<Row<float>>&, Correlations<float>::Sweep&);
template void solve_omp<double>(const Job<double>&, std::vector<Row<double>>&, Correlations<double>::Sweep&);

}  // namespace regulon::solvers::detail
