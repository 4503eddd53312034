#pragma once
/// When a second thread pays.

#include <algorithm>
#include <cstdint>

namespace regulon {

/// Waking a thread costs about as much as this many multiply-adds; on a busy machine far more.
inline constexpr std::int64_t kWorthAThread = 1 << 18;

/// The smallest number of items worth handing to a thread, when one item costs `cost` multiply-adds.
inline std::int64_t grain_for(std::int64_t cost) {
  return std::max<std::int64_t>(1, kWorthAThread / std::max<std::int64_t>(1, cost));
}

/// How many pieces, at most `most`, are worth cutting a job of `cost` multiply-adds into.
inline std::int64_t pieces_for(std::int64_t cost, std::int64_t most) {
  return std::clamp<std::int64_t>(cost / kWorthAThread, 1, std::max<std::int64_t>(1, most));
}

}  // namespace regulon
