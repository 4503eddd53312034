#include "solvers/working_set.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace regulon::solvers::detail {

template <typename T>
WorkingSet<T>::WorkingSet(const Job<T>& job, Row<T>& row) : job_(job), row_(row) {
  const std::vector<std::int32_t> ids = std::move(row.ids);
  const std::vector<T> values = std::move(row.values);
  row.ids.clear();
  row.values.clear();
  add(ids);
  row.values = values;
  refresh();
}

template <typename T>
bool WorkingSet<T>::contains(std::int32_t id) const {
  return std::find(row_.ids.begin(), row_.ids.end(), id) != row_.ids.end();
}

template <typename T>
void WorkingSet<T>::reserve(std::size_t count) {
  if (count <= capacity_) return;
  const std::size_t larger = std::max(count, capacity_ + capacity_ / 2);
  std::vector<T> moved(larger * larger);
  for (std::size_t i = 0; i < size(); ++i)
    std::copy_n(gram_.begin() + static_cast<std::ptrdiff_t>(i * capacity_), size(),
                moved.begin() + static_cast<std::ptrdiff_t>(i * larger));
  gram_ = std::move(moved);
  capacity_ = larger;
  correlations_.resize(larger);
}

template <typename T>
void WorkingSet<T>::add(const std::vector<std::int32_t>& ids) {
  reserve(size() + ids.size());
  for (const std::int32_t id : ids) {
    const std::size_t place = size();
    row_.ids.push_back(id);
    row_.values.push_back(0);
    prices_.push_back(row_.price(job_, id));
    correlations_[place] = 0;
    T* const own = gram_.data() + place * capacity_;
    job_.correlations.dots(job_.correlations.atom(id), row_.ids, own);
    for (std::size_t i = 0; i < place; ++i) gram_[i * capacity_ + place] = own[i];
  }
}

template <typename T>
void WorkingSet<T>::refresh() {
  update_residual(job_, row_);
  job_.correlations.dots(row_.residual.data(), row_.ids, correlations_.data());
}

template <typename T>
void WorkingSet<T>::move(std::size_t i, T by) {
  row_.values[i] += by;
  const T negative = -by;
  const auto id = static_cast<std::int32_t>(i);
  job_.correlations.kernels().gather_sum(&negative, &id, 1, gram_.data(),
                                         static_cast<std::int64_t>(capacity_), correlations_.data(),
                                         correlations_.data());
}

template <typename T>
T WorkingSet<T>::shrunk(T z, T price) const {
  if (z > price) return z - price;
  return !job_.non_negative && z < -price ? z + price : T(0);
}

template <typename T>
double WorkingSet<T>::violation() const {
  double worst = 0;
  for (std::size_t i = 0; i < size(); ++i) {
    const auto price = static_cast<double>(prices_[i]);
    const auto correlation = static_cast<double>(correlations_[i]);
    double off = 0;
    if (row_.values[i] > 0) {
      off = std::fabs(correlation - price);
    } else if (row_.values[i] < 0) {
      off = std::fabs(correlation + price);
    } else {
      off = std::max(0.0, (job_.non_negative ? correlation : std::fabs(correlation)) - price);
    }
    worst = std::max(worst, off);
  }
  return worst / std::max(job_.lowest_price * static_cast<double>(row_.scale), 1e-300);
}

template <typename T>
void WorkingSet<T>::multiply(const std::vector<T>& vector, std::vector<T>& out) const {
  std::vector<T> weights;
  std::vector<std::int32_t> places;
  for (std::size_t i = 0; i < size(); ++i) {
    if (vector[i] == 0) continue;
    weights.push_back(vector[i]);
    places.push_back(static_cast<std::int32_t>(i));
  }
  out.resize(capacity_);
  job_.correlations.kernels().gather_sum(weights.data(), places.data(),
                                         static_cast<std::int64_t>(places.size()), gram_.data(),
                                         static_cast<std::int64_t>(capacity_), nullptr, out.data());
}

template <typename T>
void WorkingSet<T>::replace(const std::vector<T>& values, const std::vector<T>& gram_change) {
  for (std::size_t i = 0; i < size(); ++i) {
    row_.values[i] = values[i];
    correlations_[i] -= gram_change[i];
  }
}

template <typename T>
bool WorkingSet<T>::polish() {
  std::vector<std::size_t> active;
  std::vector<double> target;
  std::vector<double> gram;
  factor_.clear();
  for (std::size_t i = 0; i < size(); ++i) {
    if (row_.values[i] == 0) continue;
    gram.clear();
    for (const std::size_t j : active) gram.push_back(static_cast<double>(gram_[i * capacity_ + j]));
    gram.push_back(static_cast<double>(square(i)));
    if (!factor_.push(gram, 64 * static_cast<double>(std::numeric_limits<T>::epsilon()))) return false;
    active.push_back(i);
    const T price = row_.values[i] < 0 ? -prices_[i] : prices_[i];
    target.push_back(static_cast<double>(correlations_[i]) - static_cast<double>(price));
  }
  std::vector<double> change;
  factor_.solve(target, change);
  double step = 1;
  for (std::size_t a = 0; a < active.size(); ++a) {
    const auto value = static_cast<double>(row_.values[active[a]]);
    if (value * (value + change[a]) <= 0) step = std::min(step, -value / change[a]);
  }
  std::vector<T> values = row_.values;
  std::vector<T> changes(size(), 0);
  std::vector<T> gram_change;
  for (std::size_t a = 0; a < active.size(); ++a) {
    const auto value = static_cast<double>(values[active[a]]);
    double next = value + step * change[a];
    if (value * next <= 0) next = 0;
    values[active[a]] = static_cast<T>(next);
    changes[active[a]] = values[active[a]] - row_.values[active[a]];
  }
  multiply(changes, gram_change);
  replace(values, gram_change);
  return step == 1;
}

template class WorkingSet<float>;
template class WorkingSet<double>;

}  // namespace regulon::solvers::detail
