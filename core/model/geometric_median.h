#pragma once

#include <ATen/core/Tensor.h>

namespace regulon::core {

/// [d]: the point with the smallest sum of distances to the rows [B, d], which outliers hardly move. By
/// Weiszfeld's iteration from the mean, at most 100 times, until it moves by less than 1e-5 (as the peers do
/// it). A row that the guess hits exactly has no distance to weigh it by, and is left out of that round.
at::Tensor geometric_median(const at::Tensor& rows);

}  // namespace regulon::core
