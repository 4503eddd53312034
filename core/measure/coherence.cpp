#include "core/measure/coherence.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/measure/nearest.h"

namespace regulon::core {

Coherence coherence_of(const at::Tensor& dictionary, std::int64_t rows) {
  const at::Tensor units = unit_directions(dictionary);
  const std::int64_t n = units.size(0);
  Coherence coherence;
  coherence.rows = std::min(n, rows);
  if (n < 2) return coherence;
  // Row i of those looked at is i * n / rows: evenly spaced, each once.
  const at::Tensor looked_at = (at::arange(coherence.rows, at::kLong) * n).floor_divide(coherence.rows);
  double nearest = 0;
  std::int64_t above = 0;
  for_cosine_blocks(units.index_select(0, looked_at), units, [&](std::int64_t first, at::Tensor& cosines) {
    cosines.abs_();
    cosines.scatter_(1, looked_at.narrow(0, first, cosines.size(0)).unsqueeze(1), 0.0);
    const at::Tensor largest = cosines.amax(1);
    nearest += largest.sum(at::kDouble).item<double>();
    coherence.closest = std::max(coherence.closest, largest.max().item<double>());
    above += (cosines > 0.5).sum().item<std::int64_t>();
  });
  coherence.mean_nearest = nearest / static_cast<double>(coherence.rows);
  const double share = static_cast<double>(coherence.rows) / static_cast<double>(n);
  coherence.pairs_above_half = std::llround(static_cast<double>(above) / (2 * share));  // each from both ends
  return coherence;
}

nlohmann::json to_json(const Coherence& coherence) {
  return {{"rows", coherence.rows},
          {"mean_nearest", coherence.mean_nearest},
          {"closest", coherence.closest},
          {"pairs_above_half", coherence.pairs_above_half}};
}

}  // namespace regulon::core
