#include <ATen/ops/empty.h>

#include <cmath>

#include "ops/screen.h"
#include "ops/support.h"

namespace regulon::ops::detail {
namespace {

constexpr std::int64_t kGroup = 32;  ///< features packed together

/// A norm from a sum of squares, rounded up; zero only for zeros.
double norm_above(double square) { return square == 0 ? 0 : std::sqrt(square) * (1 + 1e-6) + 1e-150; }

/// Norms of rounded rows, and of what the rounding took away.
struct HalfNorms {
  std::vector<double> rounded;
  std::vector<double> residual;

  explicit HalfNorms(std::int64_t count)
      : rounded(static_cast<std::size_t>(count)), residual(static_cast<std::size_t>(count)) {}
  void set(std::int64_t row, const HalfRow& sums) {
    rounded[static_cast<std::size_t>(row)] = norm_above(sums.square);
    residual[static_cast<std::size_t>(row)] = norm_above(sums.residual_square);
  }
};

std::uint16_t* halves_of(const at::Tensor& tensor) {
  return static_cast<std::uint16_t*>(tensor.mutable_data_ptr());
}

/// `row` rounded, and zeros up to the padded width.
HalfRow halve_padded(const HalfKernels& kernels, const float* row, std::int64_t d, std::int64_t padded,
                     std::uint16_t* half) {
  for (std::int64_t i = d; i < padded; ++i) half[i] = 0;
  return kernels.halve(row, d, half);
}

HalfNorms halve_rows(const HalfKernels& kernels, const at::Tensor& matrix, const at::Tensor& halves) {
  const std::int64_t d = matrix.size(1);
  const std::int64_t padded = halves.size(1);
  const float* const from = matrix.const_data_ptr<float>();
  std::uint16_t* const to = halves_of(halves);
  HalfNorms norms(matrix.size(0));
  at::parallel_for(0, matrix.size(0), grain_for(d), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      norms.set(row, halve_padded(kernels, from + row * d, d, padded, to + row * padded));
  });
  return norms;
}

/// Rounds the features and packs them in groups; features that fill up the last group are zeros.
HalfNorms halve_features(const HalfKernels& kernels, const at::Tensor& weight, const at::Tensor& groups) {
  const std::int64_t features = weight.size(0);
  const std::int64_t d = weight.size(1);
  const std::int64_t pairs = groups.size(1);
  const float* const from = weight.const_data_ptr<float>();
  std::uint16_t* const to = halves_of(groups);
  HalfNorms norms(features);
  at::parallel_for(0, groups.size(0), grain_for(kGroup * d), [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::uint16_t> rounded(static_cast<std::size_t>(2 * pairs));
    for (std::int64_t group = begin; group < end; ++group) {
      std::uint16_t* const packed = to + group * pairs * kGroup * 2;
      for (std::int64_t i = 0; i < kGroup; ++i) {
        const std::int64_t feature = group * kGroup + i;
        if (feature < features) {
          norms.set(feature, halve_padded(kernels, from + feature * d, d, 2 * pairs, rounded.data()));
        } else {
          std::fill(rounded.begin(), rounded.end(), std::uint16_t{0});
        }
        for (std::int64_t pair = 0; pair < pairs; ++pair) {
          packed[(pair * kGroup + i) * 2] = rounded[static_cast<std::size_t>(2 * pair)];
          packed[(pair * kGroup + i) * 2 + 1] = rounded[static_cast<std::size_t>(2 * pair + 1)];
        }
      }
    }
  });
  return norms;
}

}  // namespace

HalfScreen::HalfScreen(Operands operands, const HalfKernels& kernels)
    : Screen<float>(std::move(operands)),
      kernels_(kernels),
      padded_width_((width() + 1) / 2 * 2),
      halves_(at::empty({rows(), padded_width_}, at::kShort)),
      groups_(at::empty({(features() + kGroup - 1) / kGroup, padded_width_ / 2, kGroup, 2}, at::kShort)) {
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
