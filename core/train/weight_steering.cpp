#include "core/train/weight_steering.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

namespace regulon::core {
namespace {

constexpr double kIntegral = 0.01;
constexpr double kProportional = 0.5;

}  // namespace

WeightSteering::WeightSteering(double target) : target_(target), state_(at::zeros({2}, at::kDouble)) {}

void WeightSteering::observe(double l0) {
  const double error = std::clamp(std::log(std::max(l0, 1e-9) / target_), -1.0, 1.0);
  auto* state = state_.data_ptr<double>();
  state[0] += kIntegral * error;
  state[1] = error;
}

double WeightSteering::factor() const {
  const auto* state = state_.const_data_ptr<double>();
  return std::exp(state[0] + kProportional * state[1]);
}

}  // namespace regulon::core
