#include "core/conformance/gradient_check.h"

#include <ATen/ops/randn.h>
#include <ATen/ops/zeros_like.h>
#include <regulon/step.h>
#include <regulon/sums.h>

#include <algorithm>
#include <cmath>

#include "core/train/trainer.h"

namespace regulon::core {
namespace {

const std::string kFirstMoment = "optimiser.first.";
constexpr double kStepSizes[] = {1e-2, 3e-3, 1e-3};  ///< of the parameter's root mean square
constexpr double kRounding = 1e-6;                   ///< of the objective's value, which is in float32

double root_mean_square(const at::Tensor& tensor) {
  return std::sqrt(ops::total(tensor.square()).item<double>() / static_cast<double>(tensor.numel()));
}

/// One step's objective and gradients at chosen parameters.
class Probe {
 public:
  Probe(const Config& config, const PluginHost& host, const at::Tensor& sample, const at::Tensor& batch,
        const NamedTensors& state, std::int64_t step)
      : trainer_(plain(config), host, sample), batch_(batch), state_(state), step_(step) {
    for (auto& [name, tensor] : state_) {
      if (name.rfind(kFirstMoment, 0) == 0) tensor = at::zeros_like(tensor);
    }
  }

  /// The objective with `parameter`, if there is one of that name, moved by `move`.
  double value(const std::string& parameter, const at::Tensor& move) {
    NamedTensors moved = state_;
    for (auto& [name, tensor] : moved) {
      if (name == parameter) tensor = tensor + move;
    }
    trainer_.load(moved, step_, "the check");
    Report report;
    trainer_.step(batch_, &report);
    return report.loss;
  }

  /// After a step from no momentum, with beta1 = 0, the first moment is the gradient.
  NamedTensors gradients() {
    trainer_.load(state_, step_, "the check");
    trainer_.step(batch_, nullptr);
    NamedTensors found;
    for (const auto& [name, tensor] : trainer_.state()) {
      if (name.rfind(kFirstMoment, 0) == 0)
        found.emplace_back(name.substr(kFirstMoment.size()), tensor.clone());
    }
    return found;
  }

 private:
  static Config plain(Config config) {
    config.optimiser = {};
    config.optimiser.beta1 = 0;
    config.model.unit_norm = false;
    return config;
  }

  Trainer trainer_;
  at::Tensor batch_;
  NamedTensors state_;
  std::int64_t step_;
};

SlopeComparison compare(Probe& probe, const std::string& parameter, const at::Tensor& value,
                        const at::Tensor& gradient, double objective) {
  const at::Generator generator = named_generator(1, parameter);
  const at::Tensor direction = at::randn(value.sizes(), generator, value.options());
  SlopeComparison best;
  best.parameter = parameter;
  best.gradient = ops::total(gradient * direction).item<double>();
  best.error = INFINITY;
  const double size = root_mean_square(value);
  for (const double step : kStepSizes) {
    const double length = step * (size > 0 ? size : 1.0);
    const double above = probe.value(parameter, direction * length);
    const double below = probe.value(parameter, direction * -length);
    const double slope = (above - below) / (2 * length);
    const double hidden = kRounding * std::fabs(objective) / length;
    const double larger = std::max({std::fabs(slope), std::fabs(best.gradient), hidden, 1e-30});
    const double error = std::fabs(slope - best.gradient) / larger;
    if (!(error < best.error)) continue;
    best.error = error;
    best.differences = slope;
  }
  return best;
}

}  // namespace

std::vector<SlopeComparison> compare_slopes(const Config& config, const PluginHost& host,
                                            const at::Tensor& sample, const at::Tensor& batch,
                                            const NamedTensors& state, std::int64_t step) {
  Probe probe(config, host, sample, batch, state, step);
  const double objective = probe.value("", {});
  std::vector<SlopeComparison> all;
  for (const auto& [parameter, gradient] : probe.gradients())
    all.push_back(compare(probe, parameter, find_tensor(state, parameter), gradient, objective));
  return all;
}

}  // namespace regulon::core
