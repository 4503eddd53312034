#pragma once
/// How a model is evaluated, whether it has just been trained or was opened again.

#include <cstdint>

#include "core/train/run.h"

namespace regulon::core {

/// What is evaluated, and on what.
struct EvaluationSubject {
  Model& model;
  const Normalisation& normalisation;
  const at::Tensor& costs;
  std::int64_t last_step;  ///< that the model was trained to; what is scheduled has its value there
};

/// Evaluates on at most `rows` held-out rows of `source`, batch by batch. `truth`: true features in place of
/// those that the source knows; `listener` may be empty.
RunEvaluation evaluate_model(const EvaluationSubject& subject, Source& source, std::int64_t rows,
                             const at::Tensor& truth, const RowListener& listener);

}  // namespace regulon::core
