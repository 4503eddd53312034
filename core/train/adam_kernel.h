#pragma once
/// Row kernels of the optimiser. Compiled for several instruction sets and chosen at run time; without
/// contraction into fused multiply-adds, so that all of them give the same bits.

#include <cstdint>

namespace regulon::core {

/// The constants of one optimiser step.
struct AdamConstants {
  float first_rest;  ///< 1 - beta1
  float beta2;
  float second_rest;  ///< 1 - beta2
  float epsilon;
  float step_size;       ///< learning rate / (1 - beta1^t)
  float second_scale;    ///< 1 / sqrt(1 - beta2^t)
  float gradient_scale;  ///< clipping
  bool unit_rows;        ///< scale the row to norm one afterwards
  bool remove_parallel;  ///< drop the gradient's part along the row
};

/// Updates one row of `size` weights and its moments in place. False, and nothing is changed, if the gradient
/// is not finite.
bool adam_row(float* weight, const float* gradient, float* first, float* second, std::int64_t size,
              const AdamConstants& constants);

/// Squared norm of one gradient row, without its part along `weight` if `remove_parallel`.
double squared_gradient_row(const float* weight, const float* gradient, std::int64_t size,
                            bool remove_parallel);

}  // namespace regulon::core
