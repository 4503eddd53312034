#pragma once
/// All pairs of blocks of rows, each pair once, by many threads and yet in an order that does not depend on
/// them.

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>

#include "grain.h"

namespace regulon::ops::detail {

/// Blocks of a matrix of n rows: by n alone, so that results do not depend on the machine.
struct RowBlocks {
  explicit RowBlocks(std::int64_t n)
      : rows(n), length(std::clamp<std::int64_t>((n + 7) / 8, 64, 512)), count((n + length - 1) / length) {}
  std::int64_t begin(std::int64_t block) const { return block * length; }
  /// What one pair of blocks costs over vectors of `width`: a matrix product's multiply-adds come 16 at a
  /// time.
  std::int64_t pair_cost(std::int64_t width) const { return length * length * width / 16; }
  std::int64_t size(std::int64_t block) const { return std::min(length, rows - begin(block)); }

  std::int64_t rows;
  std::int64_t length;
  std::int64_t count;
};

/// Calls work(i, j) for all i <= j < count. Pairs that run at the same time have no block in common, and each
/// block meets the others in a fixed order: what work keeps for a block needs no lock. The rounds are those
/// of a tournament (circle method). `pair_cost`: multiply-adds of one call.
template <typename Work>
void for_block_pairs(std::int64_t count, std::int64_t pair_cost, const Work& work) {
  const std::int64_t grain = grain_for(pair_cost);
  at::parallel_for(0, count, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) work(block, block);
  });
  const std::int64_t circle = count + count % 2 - 1;
  for (std::int64_t round = 0; round < circle; ++round) {
    at::parallel_for(0, (circle + 1) / 2, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t game = begin; game < end; ++game) {
        const std::int64_t home = game == 0 ? circle : (round + game) % circle;
        const std::int64_t away = (round - game + circle) % circle;
        if (home < count && away < count) work(std::min(home, away), std::max(home, away));
      }
    });
  }
}

}  // namespace regulon::ops::detail
