#include "ops/cache_windows.h"

#include <algorithm>
#include <limits>

namespace regulon::ops::detail {
namespace {

/// Windows that leave room for the items in the cache of one core, and in the one that cores share. Measured
/// on two cores; what a virtual machine says about its caches is often wrong.
constexpr std::int64_t kNear = std::int64_t{1} << 19;
constexpr std::int64_t kShared = std::int64_t{1} << 24;
/// Entries of an item in a window, on average, at which reading and writing its sum once more pays.
constexpr std::int64_t kWorthAVisit = 4;
/// Entries of a row, on average, at which keeping it pays.
constexpr std::int64_t kWorthKeeping = 2;

}  // namespace

CacheWindows::CacheWindows(const std::int64_t* offsets, const std::int32_t* ids, std::int64_t items,
                           std::int64_t rows, std::int64_t row_bytes)
    : offsets_(offsets), ids_(ids) {
  const std::int64_t entries = offsets[items] - offsets[0];
  if (std::min(rows, entries / kWorthKeeping) * row_bytes <= kNear) return;
  std::int64_t used_items = 0;
  for (std::int64_t item = 0; item < items; ++item) used_items += offsets[item + 1] > offsets[item] ? 1 : 0;
  const std::int64_t most = entries / (used_items * kWorthAVisit);
  if (most < 2) return;
  const std::int64_t largest = rows * row_bytes > kShared ? kShared : kNear;
  const std::int64_t most_rows = std::min(entries / kWorthKeeping, most * largest / row_bytes);
  std::vector<std::uint8_t> in_use(static_cast<std::size_t>(rows), 0);
  std::int64_t used_rows = 0;
  for (std::int64_t e = offsets[0]; e < offsets[items]; ++e) {
    std::uint8_t& used = in_use[static_cast<std::size_t>(ids[e])];
    used_rows += 1 - used;
    used = 1;
    if (used_rows > most_rows) return;
  }
  const auto windows_of = [&](std::int64_t bytes) { return (used_rows * row_bytes + bytes - 1) / bytes; };
  cut(in_use, used_rows, windows_of(kNear) <= most ? windows_of(kNear) : windows_of(kShared));
}

void CacheWindows::cut(const std::vector<std::uint8_t>& in_use, std::int64_t used_rows,
                       std::int64_t windows) {
  std::int64_t seen = 0;
  std::int64_t done = 0;
  for (std::size_t row = 0; row < in_use.size() && done + 1 < windows; ++row) {
    seen += in_use[row];
    if (seen * windows < (done + 1) * used_rows) continue;
    cuts_.push_back(static_cast<std::int32_t>(row + 1));
    ++done;
  }
  cuts_.push_back(std::numeric_limits<std::int32_t>::max());
}

}  // namespace regulon::ops::detail
