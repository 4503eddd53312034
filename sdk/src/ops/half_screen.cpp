#include <ATen/ops/empty.h>

#include "ops/half_pack.h"
#include "ops/screen.h"

namespace regulon::ops::detail {
HalfScreen::HalfScreen(Operands operands, const HalfKernels& kernels)
    : Screen<float>(std::move(operands)),
      kernels_(kernels),
      padded_width_(half_width(width())),
      halves_(at::empty({rows(), padded_width_}, at::kShort)),
      groups_(empty_half_groups(features(), width())) {
  const HalfNorms of_rows = halve_rows(kernels_, this->operands().rows, halves_);
  const HalfNorms of_features = halve_features(kernels_, this->operands().weight, groups_);
  // The last factor covers the rounding of the bounds themselves.
  constexpr double kSlack = 1 + 1e-5;
  const double sum_error = summation_error();
  ProductErrors errors;
  for (std::size_t row = 0; row < of_rows.rounded.size(); ++row) {
    errors.row[0].push_back((of_rows.residual[row] + definition_error() * row_norms()[row]) * kSlack);
    errors.row[1].push_back(of_rows.rounded[row] * kSlack);
  }
  errors.feature[0] = feature_norms();
  for (std::size_t feature = 0; feature < of_features.rounded.size(); ++feature) {
    errors.feature[1].push_back(of_features.residual[feature] + sum_error * of_features.rounded[feature]);
  }
  set_errors(errors);
}

void HalfScreen::product(std::int64_t row, std::int64_t feature, at::Tensor& out) const {
  const auto* const halves = static_cast<const std::uint16_t*>(halves_.const_data_ptr());
  const auto* const groups = static_cast<const std::uint16_t*>(groups_.const_data_ptr());
  kernels_.product(halves + row * padded_width_, out.size(0), padded_width_, groups + feature * padded_width_,
                   out.size(1), out.mutable_data_ptr<float>());
}

}  // namespace regulon::ops::detail
