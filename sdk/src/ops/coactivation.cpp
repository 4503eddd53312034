#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <regulon/pairs.h>

#include <algorithm>
#include <cmath>

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

  /// Sum over the rows of z_left * z_right: both are lists in order of row.
  double product(std::int64_t left, std::int64_t right) const {
    std::int64_t i = offsets_[left];
    std::int64_t j = offsets_[right];
    double sum = 0;
    while (i < offsets_[left + 1] && j < offsets_[right + 1]) {
      if (rows_[i] == rows_[j]) {
        sum += value(i++) * value(j++);
      } else if (rows_[i] < rows_[j]) {
        ++i;
      } else {
        ++j;
      }
    }
    return sum;
  }

 private:
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
  at::parallel_for(0, row.size(0), grain_for(16 * (mean + 1)), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t pair = begin; pair < end; ++pair) {
      const double both = active.product(left[pair], right[pair]);
      const double squares =
          both > 0 ? active.product(left[pair], left[pair]) * active.product(right[pair], right[pair]) : 0;
      to[pair] = squares > 0 ? static_cast<T>(std::min(1.0, both / std::sqrt(squares))) : T(0);
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
