#include "solvers/pursuit.h"

namespace regulon::solvers::detail {
namespace {

/// Matching pursuit: the atom's code takes up what it correlates with, less its price, and nothing else moves
/// (Mallat & Zhang 1993, "Matching pursuits with time-frequency dictionaries"). An atom may be chosen again,
/// and takes the rest then; codes that keep a sign only grow.
template <typename T>
class MatchingRow final : public PursuitRow<T> {
 public:
  using PursuitRow<T>::PursuitRow;

  void start() override { update_residual(job_, row_); }

  bool take(const BestAtom<T>& atom) override {
    const std::size_t place = this->place_of(atom.id);
    const T price = row_.price(job_, atom.id);
    const T amount = atom.correlation < 0 ? atom.correlation + price : atom.correlation - price;
    if (place == row_.ids.size()) {
      row_.ids.push_back(atom.id);
      row_.values.push_back(0);
    }
    row_.values[place] += amount;
    const T negative = -amount;
    job_.correlations.kernels().gather_sum(&negative, &atom.id, 1, job_.correlations.atoms(),
                                           job_.correlations.width(), row_.residual.data(),
                                           row_.residual.data());
    return true;
  }

 private:
  using PursuitRow<T>::job_;
  using PursuitRow<T>::row_;
};

}  // namespace

template <typename T>
void solve_matching_pursuit(const Job<T>& job, std::vector<Row<T>>& rows,
                            typename Correlations<T>::Sweep& sweep) {
  pursue<MatchingRow>(job, rows, sweep);
}

template void solve_matching_pursuit<float>(const Job<float>&, std::vector<Row<float>>&,
                                            Correlations<float>::Sweep&);
template void solve_matching_pursuit<double>(const Job<double>&, std::vector<Row<double>>&,
                                             Correlations<double>::Sweep&);

}  // namespace regulon::solvers::detail
