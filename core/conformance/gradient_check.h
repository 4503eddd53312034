#pragma once
/// Gradients held against central finite differences.

#include "core/config/config.h"
#include "core/io/named_tensors.h"
#include "core/plugin/host.h"

#include <string>
#include <vector>

namespace regulon::core {

/// A parameter along one random direction.
struct SlopeComparison {
  std::string parameter;   ///< "decoder.weight"
  double gradient = 0;     ///< the slope of the objective that backward gives
  double differences = 0;  ///< and that central differences give, of the step that agrees best
  double error = 0;        ///< |gradient - differences| over the larger of both, or over what rounding hides
};

/// The objective of `config` on `batch` [B, d], at `state` (detached, of a Trainer of this config, at step
/// `step`), for every parameter that is learnt. `sample` as for a Trainer. Dictionary rows are free to change
/// their norm.
std::vector<SlopeComparison> compare_slopes(const Config& config, const PluginHost& host,
                                            const at::Tensor& sample, const at::Tensor& batch,
                                            const NamedTensors& state, std::int64_t step);

}  // namespace regulon::core
