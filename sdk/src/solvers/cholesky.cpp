#include "solvers/cholesky.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace regulon::solvers::detail {
namespace {

/// Eight sums at a time: short chains, in a fixed order.
double dot(const double* a, const double* b, std::size_t count) {
  double sums[8] = {};
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (std::size_t j = 0; j < 8; ++j) sums[j] += a[i + j] * b[i + j];
  }
  for (std::size_t j = 0; i + j < count; ++j) sums[j] += a[i + j] * b[i + j];
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

}  // namespace

bool Cholesky::factorise(AtomRow& row, std::size_t count, double least) const {
  row.factor.resize(count + 1);
  double* const factor = row.factor.data();
  for (std::size_t i = 0; i < count; ++i) {
    const double* const other = rows_[i].factor.data();
    factor[i] = (row.gram[i] - dot(factor, other, i)) / other[i];
  }
  const double own = row.gram[count] - dot(factor, factor, count);
  if (!(own > least * row.gram[count])) return false;
  factor[count] = std::sqrt(std::max(own, std::numeric_limits<double>::min()));
  return true;
}

bool Cholesky::push(const std::vector<double>& gram, double least) {
  AtomRow row{gram, {}};
  if (!factorise(row, rows_.size(), least)) return false;
  rows_.push_back(std::move(row));
  return true;
}

void Cholesky::remove(std::size_t place) {
  rows_.erase(rows_.begin() + static_cast<std::ptrdiff_t>(place));
  for (std::size_t i = place; i < rows_.size(); ++i) {
    rows_[i].gram.erase(rows_[i].gram.begin() + static_cast<std::ptrdiff_t>(place));
    // Fewer atoms depend on each other no more than all did.
    factorise(rows_[i], i, -1);
  }
}

void Cholesky::solve(const std::vector<double>& b, std::vector<double>& x) const {
  const std::size_t count = rows_.size();
  x.assign(b.begin(), b.begin() + static_cast<std::ptrdiff_t>(count));
  for (std::size_t i = 0; i < count; ++i)
    x[i] = (x[i] - dot(x.data(), rows_[i].factor.data(), i)) / rows_[i].factor[i];
  for (std::size_t i = count; i-- > 0;) {
    const std::vector<double>& factor = rows_[i].factor;
    x[i] /= factor[i];
    for (std::size_t j = 0; j < i; ++j) x[j] -= factor[j] * x[i];
  }
}

}  // namespace regulon::solvers::detail
