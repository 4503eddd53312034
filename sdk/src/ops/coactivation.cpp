#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <regulon/pairs.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "ops/gather.h"
#include "ops/row_choice.h"
#include "ops/support.h"

namespace regulon::ops {
namespace {

constexpr const char* kActivationNorms = "activation_norms";
constexpr const char* kJointActivations = "joint_activations";

/// The active values of one feature, by row.
template <typename T>
class ActiveValues {
 public:
  ActiveValues(const FeatureOrder& order, const T* values)
      : offsets_(order.offsets.const_data_ptr<std::int64_t>()),
        entries_(order.entries.const_data_ptr<std::int64_t>()),
        rows_(order.rows.const_data_ptr<std::int32_t>()),
        values_(values) {}

  std::int64_t count(std::int64_t feature) const { return offsets_[feature + 1] - offsets_[feature]; }

  /// Sum over the rows of z_feature^2.
  double square(std::int64_t feature) const {
    double sum = 0;
    for (std::int64_t i = offsets_[feature]; i < offsets_[feature + 1]; ++i) sum += value(i) * value(i);
    return sum;
  }

  /// Sum over the rows of z_left * z_right, in their order: each of the shorter list is looked for in the
  /// rest of the longer, so that a feature that is always active does not cost all its rows a pair.
  double product(std::int64_t left, std::int64_t right) const {
    if (count(left) > count(right)) std::swap(left, right);
    const std::int32_t* from = rows_ + offsets_[right];
    const std::int32_t* const end = rows_ + offsets_[right + 1];
    double sum = 0;
    for (std::int64_t i = offsets_[left]; i < offsets_[left + 1]; ++i) {
      from = first_from(from, end, rows_[i]);
      if (from != end && *from == rows_[i]) sum += value(i) * value(from - rows_);
    }
    return sum;
  }

 private:
  /// The first of ascending rows that is at least `row`: in steps that double, then by halves. Lists of
  /// about equal length cost as much as a walk along both.
  static const std::int32_t* first_from(const std::int32_t* begin, const std::int32_t* end,
                                        std::int32_t row) {
    std::ptrdiff_t step = 1;
    while (step < end - begin && begin[step] < row) {
      begin += step;
      step *= 2;
    }
    return std::lower_bound(begin, begin + std::min(step + 1, end - begin), row);
  }

  double value(std::int64_t place) const {
    return std::max(0.0, static_cast<double>(values_[entries_[place]]));
  }

  const std::int64_t* offsets_;
  const std::int64_t* entries_;
  const std::int32_t* rows_;
  const T* values_;
};

template <typename T>
at::Tensor joint(const Codes& codes, const at::Tensor& values, const at::Tensor& row,
                 const at::Tensor& other) {
  const ActiveValues<T> active(codes.by_feature(), values.const_data_ptr<T>());
  const auto* const left = row.const_data_ptr<std::int64_t>();
  const auto* const right = other.const_data_ptr<std::int64_t>();
  at::Tensor result = at::empty({row.size(0)}, values.options());
  T* const to = result.mutable_data_ptr<T>();
  const std::int64_t mean = codes.entries() / std::max<std::int64_t>(1, codes.features());
  std::vector<double> squares(static_cast<std::size_t>(codes.features()));
  at::parallel_for(0, codes.features(), grain_for(mean + 1), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) squares[static_cast<std::size_t>(i)] = active.square(i);
  });
  at::parallel_for(0, row.size(0), grain_for(16 * (mean + 1)), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t pair = begin; pair < end; ++pair) {
      const double both = active.product(left[pair], right[pair]);
      const double alone =
          squares[static_cast<std::size_t>(left[pair])] * squares[static_cast<std::size_t>(right[pair])];
      to[pair] = both > 0 && alone > 0 ? static_cast<T>(std::min(1.0, both / std::sqrt(alone))) : T(0);
    }
  });
  return result;
}

}  // namespace

at::Tensor activation_norms(const Codes& codes) {
  const at::Tensor held = (codes.is_sparse() ? codes.values() : codes.to_dense()).detach();
  detail::check_floating(kActivationNorms, "the codes", held, codes.is_sparse() ? 1 : 2);
  const at::Tensor squares = held.clamp_min(0).square();
  const at::Tensor sums =
      codes.is_sparse() ? detail::total_by_feature(codes, squares) : detail::weighted_total({}, squares);
  return (sums / static_cast<double>(std::max<std::int64_t>(1, codes.rows()))).sqrt();
}

at::Tensor joint_activations(const Codes& codes, const at::Tensor& row, const at::Tensor& other) {
  const at::Tensor values = codes.values().detach().contiguous();
  detail::check_floating(kJointActivations, "the codes", values, 1);
  detail::check_pair_ids(kJointActivations, "row", row, row.defined() ? row.numel() : 0, codes.features());
  detail::check_pair_ids(kJointActivations, "other", other, row.numel(), codes.features());
  return detail::by_dtype(values, [&](auto zero) {
    return joint<decltype(zero)>(codes, values, row.contiguous(), other.contiguous());
  });
}

}  // namespace regulon::ops
