#include "ops/close_rows.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randn.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "codes_pattern.h"
#include "kernel_table.h"
#include "ops/gather.h"
#include "ops/support.h"

namespace regulon::ops::detail {
namespace {

/// Of 1 - |cos|: rows that are closer than that have no plane that rounding leaves alone.
constexpr double kAsGoodAsEqual = 1e-4;

/// Rows that are turned in pairs.
template <typename T>
class PairTurner {
 public:
  PairTurner(at::Tensor& rows, double mu, std::int64_t frozen, const at::Generator& generator)
      : rows_(rows), d_(rows.size(1)), mu_(mu), frozen_(frozen), generator_(generator) {
    turned_ = at::empty({2, d_}, rows.options());
  }

  T cosine(std::int32_t row, std::int32_t other) const {
    T product = 0;
    best_kernels<T>().gather_dot(row_at(row), data(), d_, &other, 1, &product);
    return product;
  }

  /// Turns two rows of that cosine until it is mu in absolute value.
  void turn(std::int32_t row, std::int32_t other, T cosine) {
    if (as_good_as_equal(cosine)) {
      part(row < frozen_ ? other : row);
      cosine = this->cosine(row, other);
      // In one dimension there is nowhere to go.
      if (as_good_as_equal(cosine) || std::fabs(static_cast<double>(cosine)) <= mu_) return;
    }
    const double c = std::fabs(static_cast<double>(cosine));
    const double sign = cosine < 0 ? -1 : 1;
    if (row < frozen_ || other < frozen_) {
      // v' = mu u + sqrt(1 - mu²) (v - c u) / |v - c u|, for u as it stands and of the sign that v is near
      // to.
      const double along = std::sqrt((1 - mu_ * mu_) / (1 - c * c));
      const double towards = sign * (mu_ - along * c);
      const bool first = row < frozen_;
      const T weights[2] = {static_cast<T>(first ? towards : along), static_cast<T>(first ? along : towards)};
      const std::int32_t ids[2] = {row, other};
      T* const made = turned_.template mutable_data_ptr<T>();
      best_kernels<T>().gather_sum(weights, ids, 2, data(), d_, nullptr, made);
      replace(first ? other : row, made);
      return;
    }
    // In the directions of u + v and u - v, which stay: their lengths become those of a cosine of mu.
    const double sum = std::sqrt((1 + mu_) / (1 + c)) / 2;
    const double difference = std::sqrt((1 - mu_) / (1 - c)) / 2;
    const T of_row[2] = {static_cast<T>(sum + difference), static_cast<T>(sign * (sum - difference))};
    const T of_other[2] = {of_row[1], of_row[0]};
    const std::int32_t ids[2] = {row, other};
    T* const made = turned_.template mutable_data_ptr<T>();
    best_kernels<T>().gather_sum(of_row, ids, 2, data(), d_, nullptr, made);
    best_kernels<T>().gather_sum(of_other, ids, 2, data(), d_, nullptr, made + d_);
    replace(row, made);
    replace(other, made + d_);
  }

 private:
  static bool as_good_as_equal(T cosine) {
    return 1 - std::fabs(static_cast<double>(cosine)) < kAsGoodAsEqual;
  }
  T* data() const { return rows_.template mutable_data_ptr<T>(); }
  T* row_at(std::int32_t row) const { return data() + row * d_; }

  /// Moves a row a little in a random direction.
  void part(std::int32_t row) {
    const at::Tensor away = at::randn({d_}, generator_, rows_.options());
    const at::Tensor moved = rows_.select(0, row) + away * (0.05 / std::sqrt(static_cast<double>(d_)));
    replace(row, moved.template const_data_ptr<T>());
  }

  /// Of length one: rounding would add up, the more so the closer the rows were.
  void replace(std::int32_t row, const T* by) {
    const auto inverse = static_cast<T>(1 / std::sqrt(best_kernels<T>().square_sum(by, d_)));
    std::transform(by, by + d_, row_at(row), [&](T x) { return x * inverse; });
  }

  at::Tensor& rows_;
  std::int64_t d_;
  double mu_;
  std::int64_t frozen_;
  at::Generator generator_;
  at::Tensor turned_;
};

at::Tensor as_tensor(const std::vector<std::int32_t>& ids) {
  at::Tensor tensor = at::empty({static_cast<std::int64_t>(ids.size())}, at::kInt);
  std::copy(ids.begin(), ids.end(), tensor.mutable_data_ptr<std::int32_t>());
  return tensor;
}

}  // namespace

double turn_apart(at::Tensor& rows, const ClosePairs& pairs, double mu, double slack, std::int64_t frozen,
                  const at::Generator& generator) {
  return by_dtype(rows, [&](auto zero) {
    using T = decltype(zero);
    PairTurner<T> turner(rows, mu, frozen, generator);
    double largest = 0;
    for (std::size_t p = 0; p < pairs.row.size(); ++p) {
      const T cosine = turner.cosine(pairs.row[p], pairs.other[p]);
      const double size = std::fabs(static_cast<double>(cosine));
      largest = std::max(largest, size);
      if (size > mu + slack) turner.turn(pairs.row[p], pairs.other[p], cosine);
    }
    return largest;
  });
}

ListedExcess::ListedExcess(const ClosePairs& pairs, std::int64_t rows, double mu, std::int64_t frozen)
    : mu_(mu), frozen_(frozen) {
  const at::Tensor row = as_tensor(pairs.row);
  const at::Tensor other = as_tensor(pairs.other);
  const FeatureOrder by_row = sort_by_feature(rows, row, other);
  offsets_ = by_row.offsets;
  others_ = by_row.rows;
  const at::Tensor sorted = row.index_select(0, by_row.entries);
  times_ = (sorted >= frozen).to(at::kDouble) + (others_ >= frozen).to(at::kDouble);
  both_ = sort_by_feature(rows, at::cat({sorted, others_}), at::cat({others_, sorted}));
}

Excess ListedExcess::operator()(const at::Tensor& unit_rows) const {
  const at::Tensor cosines = dot_rows(offsets_, others_, unit_rows, unit_rows);
  const at::Tensor sizes = cosines.abs();
  const at::Tensor excess = (sizes - mu_).clamp_min(0);
  Excess found;
  if (sizes.numel() == 0) return found;
  found.sum = total(excess.square().to(at::kDouble) * times_);
  found.largest = sizes.max().item<double>();
  const at::Tensor pulls = excess * cosines.sign() * (2 * times_).to(excess.scalar_type());
  const at::Tensor both = permuted(at::cat({pulls, pulls}), both_.entries);
  found.gradient = sum_rows({{both_.offsets, both_.rows, both, unit_rows}});
  found.gradient.narrow(0, 0, frozen_).zero_();
  return found;
}

}  // namespace regulon::ops::detail
