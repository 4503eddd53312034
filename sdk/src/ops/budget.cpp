#include "ops/budget.h"

#include <cmath>
#include <limits>

namespace regulon::ops::detail {

std::int64_t most_affordable(const at::Tensor& prices, double budget) {
  constexpr double kMost = std::numeric_limits<std::int32_t>::max();
  const auto lowest = prices.min().item<double>();
  return static_cast<std::int64_t>(std::min(kMost, std::floor(budget / lowest) + 1));
}

}  // namespace regulon::ops::detail
