#pragma once
/// A small training step in double, with leaves to differentiate by.

#include <ATen/ATen.h>
#include <regulon/step.h>

#include <cstdint>
#include <utility>

namespace regulon::tests {

/// Reproducible normal numbers in double.
inline at::Tensor normal(at::IntArrayRef shape, std::uint64_t seed) {
  return at::randn(shape, named_generator(seed, "test"), at::TensorOptions().dtype(at::kDouble));
}

/// The leaves of a step, and the step made of them anew on every call of `view`.
struct ToyStep {
  static constexpr std::int64_t kRows = 5;
  static constexpr std::int64_t kFeatures = 7;
  static constexpr std::int64_t kWidth = 4;

  at::Tensor batch = normal({kRows, kWidth}, 1);
  at::Tensor weight = normal({kFeatures, kWidth}, 2).requires_grad_(true);
  at::Tensor bias = normal({kWidth}, 3).requires_grad_(true);
  /// [entries]: the values of the codes; row 3 has none.
  at::Tensor values = (normal({9}, 4).abs() + 0.1).requires_grad_(true);
  at::Tensor row_offsets = at::tensor({0, 3, 4, 6, 6, 9}, at::kLong);
  at::Tensor feature_ids = at::tensor({0, 2, 5, 2, 1, 6, 0, 3, 6}, at::kInt);
  at::Tensor costs = normal({kFeatures}, 5).abs() + 0.2;
  bool unit_norm = false;

  StepView view() const {
    return StepView(StepInputs{0,
                               11,
                               batch,
                               Codes::sparse(kFeatures, row_offsets, feature_ids, values),
                               Dictionary(weight, bias, 0, unit_norm),
                               costs,
                               FeatureStats{},
                               at::Tensor(),
                               {},
                               nullptr});
  }
  /// The codes as a matrix [kRows, kFeatures], made without the SDK.
  at::Tensor dense() const {
    at::Tensor matrix = at::zeros({kRows, kFeatures}, at::kDouble);
    for (std::int64_t row = 0; row < kRows; ++row) {
      const std::int64_t end = row_offsets[row + 1].item<std::int64_t>();
      for (std::int64_t e = row_offsets[row].item<std::int64_t>(); e < end; ++e) {
        matrix[row][feature_ids[e].item<std::int64_t>()] = values.detach()[e];
      }
    }
    return matrix;
  }
};

}  // namespace regulon::tests
