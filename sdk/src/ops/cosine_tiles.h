#pragma once
/// All products of unit rows with each other, tile by tile: never n x n.

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstdint>

#include "ops/block_pairs.h"
#include "ops/tiles.h"

namespace regulon::ops::detail {

/// Calls work(i, j, tile) for every pair of blocks i <= j that holds a row of at least `frozen`, as
/// for_block_pairs does. `tile` [rows of i, rows of j] is work's own: their products, 0 for a row with itself
/// and for two frozen rows.
template <typename Work>
void for_cosine_tiles(const at::Tensor& rows, const RowBlocks& blocks, std::int64_t frozen,
                      const Work& work) {
  for_block_pairs(blocks.count, blocks.pair_cost(rows.size(1)), [&](std::int64_t i, std::int64_t j) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    if (blocks.begin(j) + blocks.size(j) <= frozen) return;
    at::Tensor tile = at::empty({blocks.size(i), blocks.size(j)}, rows.options());
    tile_product(rows.narrow(0, blocks.begin(i), blocks.size(i)),
                 rows.narrow(0, blocks.begin(j), blocks.size(j)).t(), tile);
    if (i == j) tile.fill_diagonal_(0);
    const std::int64_t still = std::clamp<std::int64_t>(frozen - blocks.begin(i), 0, blocks.size(i));
    const std::int64_t still_too = std::clamp<std::int64_t>(frozen - blocks.begin(j), 0, blocks.size(j));
    tile.narrow(0, 0, still).narrow(1, 0, still_too).zero_();
    work(i, j, tile);
  });
}

}  // namespace regulon::ops::detail
