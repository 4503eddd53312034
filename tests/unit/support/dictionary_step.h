#pragma once
/// A training step of which only the dictionary and the batch matter, in double.

#include <ATen/ATen.h>
#include <regulon/step.h>

#include <cstdint>

namespace regulon::tests {

/// The dictionary's leaf and the step made of it anew on every call of `view`.
struct DictionaryStep {
  at::Tensor weight;  ///< [n, d], with gradient
  std::int64_t frozen_rows = 0;
  bool unit_norm = false;
  at::Tensor bias = at::zeros({weight.size(1)}, weight.options().requires_grad(false));
  at::Tensor batch = at::zeros({1, weight.size(1)}, weight.options().requires_grad(false));

  StepView view() const {
    const at::Tensor none = at::zeros({batch.size(0), weight.size(0)}, batch.options());
    return StepView(StepInputs{0,
                               11,
                               batch,
                               Codes::dense(none),
                               Dictionary(weight, bias, frozen_rows, unit_norm),
                               at::ones({weight.size(0)}, batch.options()),
                               FeatureStats{},
                               at::Tensor(),
                               {},
                               nullptr});
  }
};

}  // namespace regulon::tests
