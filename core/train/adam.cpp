#include "core/train/adam.h"

#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <regulon/error.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <utility>

#include "core/train/adam_kernel.h"

namespace regulon::core {
namespace {

/// A parameter's rows that learn: matrices keep theirs, everything else is one row per `kChunk` elements.
struct Rows {
  static constexpr std::int64_t kChunk = 4096;

  explicit Rows(const at::Tensor& tensor)
      : total(tensor.numel()),
        size(tensor.dim() == 2 ? tensor.size(1) : std::min(kChunk, total)),
        count(size == 0 ? 0 : (total + size - 1) / size) {}

  std::int64_t length(std::int64_t row) const { return std::min(size, total - row * size); }
  std::int64_t grain() const { return std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, size)); }

  std::int64_t total;
  std::int64_t size;
  std::int64_t count;
};

/// Calls use(row, its gradient) for each of `rows`, from several threads; the gradient is either pending or
/// made.
template <typename Use>
void each_row(const Rows& rows, const Parameter& parameter, const ops::PendingRows& pending, const Use& use) {
  if (!pending.empty()) {
    pending.visit(parameter.frozen_rows, [&](std::int64_t row, const float* gradient) {
      use(row - parameter.frozen_rows, gradient);
    });
    return;
  }
  const at::Tensor made = parameter.learning_part(parameter.tensor.grad());
  const auto* gradients = made.const_data_ptr<float>();
  at::parallel_for(0, rows.count, rows.grain(), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) use(row, gradients + row * rows.size);
  });
}

[[noreturn]] void refuse_gradient(const std::string& what) {
  throw RunError(
      {"optimiser", "the gradient of " + what + " is not finite", "numbers that can be squared",
       "infinity, NaN or above 1e19",
       "a loss term's gradient overflows or is undefined at a value it met (a root or a logarithm at "
       "zero); leave terms out one by one to find it, or lower the learning rate"});
}

}  // namespace

double learning_rate_at(const OptimiserSection& section, std::int64_t step, std::int64_t steps) {
  double rate = section.learning_rate;
  if (step < section.warm_up) rate *= static_cast<double>(step + 1) / static_cast<double>(section.warm_up);
  const double falling = section.decay * static_cast<double>(steps);
  const auto left = static_cast<double>(steps - step);
  if (falling > 0 && left < falling) rate *= left / falling;
  return rate;
}

Adam::Adam(const OptimiserSection& section, std::vector<Parameter> parameters)
    : section_(section), parameters_(std::move(parameters)), updates_(at::zeros({}, at::kLong)) {
  for (const auto& parameter : parameters_) {
    moments_.push_back({at::zeros_like(parameter.tensor), at::zeros_like(parameter.tensor)});
  }
  pending_.resize(parameters_.size());
}

bool Adam::has_gradient(std::size_t index) const {
  return !pending_[index].empty() || parameters_[index].tensor.grad().defined();
}

void Adam::backward(const at::Tensor& loss) {
  for (std::size_t index = 0; index < parameters_.size(); ++index) {
    if (pending_[index].empty()) continue;
    parameters_[index].tensor.mutable_grad() = std::exchange(pending_[index], {}).make();
  }
  // Clipping needs the norm of all rows before the first is used: made ones need not be summed twice.
  if (section_.clip > 0) return loss.backward();
  std::vector<at::Tensor> leaves;
  for (const auto& parameter : parameters_) leaves.push_back(parameter.tensor);
  ops::PendingGradients gradients(leaves);
  loss.backward();
  for (std::size_t index = 0; index < parameters_.size(); ++index) pending_[index] = gradients.take(index);
}

double Adam::gradient_norm() const {
  double sum = 0;
  for (std::size_t index = 0; index < parameters_.size(); ++index) {
    const Parameter& parameter = parameters_[index];
    if (!has_gradient(index)) continue;
    const at::Tensor weight = parameter.learning_part(parameter.tensor);
    const Rows rows(weight);
    const auto* weights = weight.const_data_ptr<float>();
    std::vector<double> squares(static_cast<std::size_t>(rows.count));
    each_row(rows, parameter, pending_[index], [&](std::int64_t row, const float* gradient) {
      squares[static_cast<std::size_t>(row)] = squared_gradient_row(
          weights + row * rows.size, gradient, rows.length(row), parameter.remove_parallel_gradient);
    });
    sum = std::accumulate(squares.begin(), squares.end(), sum);
  }
  return std::sqrt(sum);
}

AdamConstants Adam::constants(double learning_rate, double norm) const {
  const auto count = static_cast<double>(updates_.item<std::int64_t>());
  AdamConstants constants{};
  constants.first_rest = static_cast<float>(1 - section_.beta1);
  constants.beta2 = static_cast<float>(section_.beta2);
  constants.second_rest = static_cast<float>(1 - section_.beta2);
  constants.epsilon = static_cast<float>(section_.epsilon);
  constants.step_size = static_cast<float>(learning_rate / (1 - std::pow(section_.beta1, count)));
  constants.second_scale = static_cast<float>(1 / std::sqrt(1 - std::pow(section_.beta2, count)));
  constants.gradient_scale =
      static_cast<float>(section_.clip > 0 && norm > section_.clip ? section_.clip / norm : 1.0);
  return constants;
}

void Adam::update(std::size_t index, AdamConstants constants) {
  const Parameter& parameter = parameters_[index];
  constants.unit_rows = parameter.unit_rows;
  constants.remove_parallel = parameter.remove_parallel_gradient;
  const at::Tensor weight = parameter.learning_part(parameter.tensor);
  const Rows rows(weight);
  auto* weights = weight.mutable_data_ptr<float>();
  auto* first = parameter.learning_part(moments_[index].first).mutable_data_ptr<float>();
  auto* second = parameter.learning_part(moments_[index].second).mutable_data_ptr<float>();
  std::atomic<bool> finite = true;
  each_row(rows, parameter, pending_[index], [&](std::int64_t row, const float* gradient) {
    const std::int64_t at = row * rows.size;
    if (!adam_row(weights + at, gradient, first + at, second + at, rows.length(row), constants))
      finite = false;
  });
  if (!finite) refuse_gradient(parameter.name);
  parameter.tensor.unsafeGetTensorImpl()->bump_version();
  at::Tensor(parameter.tensor).mutable_grad() = at::Tensor();
  pending_[index] = {};
}

double Adam::step(double learning_rate, bool want_norm) {
  const at::NoGradGuard no_grad;
  for (auto& parameter : parameters_) {
    at::Tensor& gradient = parameter.tensor.mutable_grad();
    if (gradient.defined() && !gradient.is_contiguous()) gradient = gradient.contiguous();
  }
  const double norm = want_norm || section_.clip > 0 ? gradient_norm() : 0.0;
  if (!std::isfinite(norm)) refuse_gradient("the parameters");
  updates_ += 1;
  const AdamConstants shared = constants(learning_rate, norm);
  for (std::size_t index = 0; index < parameters_.size(); ++index) {
    if (has_gradient(index)) update(index, shared);
  }
  return norm;
}

void Adam::reset_features(const at::Tensor& ids, std::int64_t features) {
  const at::NoGradGuard no_grad;
  for (auto& [first, second] : moments_) {
    if (first.dim() == 0 || first.size(0) != features) continue;
    first.index_fill_(0, ids, 0);
    second.index_fill_(0, ids, 0);
  }
}

NamedTensors Adam::state() const {
  NamedTensors state{{"optimiser.updates", updates_}};
  for (std::size_t index = 0; index < parameters_.size(); ++index) {
    state.emplace_back("optimiser.first." + parameters_[index].name, moments_[index].first);
    state.emplace_back("optimiser.second." + parameters_[index].name, moments_[index].second);
  }
  return state;
}

void Adam::load(const NamedTensors& state, const std::string& origin) {
  copy_tensors(this->state(), state, origin);
}

}  // namespace regulon::core
