#pragma once
/// How many of the best a budget pays for.

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

namespace regulon::ops::detail {

/// No more than this many are ever paid for: what the budget buys at the lowest of the prices ([m], above
/// zero).
std::int64_t most_affordable(const at::Tensor& prices, double budget);

/// The number of best scores, in order, whose prices add up to no more than `budget`. Of equal scores the
/// first comes first. `prices` [m] by feature.
template <typename T>
std::int64_t affordable(const std::vector<T>& scores, const std::vector<std::int32_t>& features,
                        const T* prices, double budget) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  double spent = 0;
  std::int64_t count = 0;
  for (const std::size_t i : order) {
    spent += static_cast<double>(prices[features[i]]);
    if (spent > budget) break;
    ++count;
  }
  return count;
}

}  // namespace regulon::ops::detail
