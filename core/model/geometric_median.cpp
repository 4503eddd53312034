#include "core/model/geometric_median.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

namespace regulon::core {

at::Tensor geometric_median(const at::Tensor& rows) {
  constexpr int kMostRounds = 100;
  constexpr double kStill = 1e-5;
  const at::NoGradGuard no_grad;
  at::Tensor guess = rows.mean(0);
  for (int round = 0; round < kMostRounds; ++round) {
    const at::Tensor distances = at::linalg_vector_norm(rows - guess, 2, at::IntArrayRef({1}), true);
    const at::Tensor weights = at::where(distances > 0, distances.reciprocal(), at::zeros_like(distances));
    const double total = weights.sum().item<double>();
    if (total == 0) break;  // all rows are this point
    const at::Tensor next = (rows * weights).sum(0) / total;
    const double moved = (next - guess).norm().item<double>();
    guess = next;
    if (moved < kStill) break;
  }
  return guess.clone();
}

}  // namespace regulon::core
