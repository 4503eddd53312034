#include "core/data/block_order.h"

#include <regulon/step.h>

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include "core/data/random_stream.h"

namespace regulon::core {

BlockOrder::BlockOrder(std::vector<RowRange> blocks, std::int64_t pool_blocks, std::uint64_t seed)
    : blocks_(std::move(blocks)), pool_blocks_(static_cast<std::size_t>(pool_blocks)), seed_(seed) {
  for (const RowRange& block : blocks_) rows_ += block.count;
}

void BlockOrder::enter_epoch(std::int64_t epoch) {
  if (epoch == epoch_) return;
  order_.resize(blocks_.size());
  std::iota(order_.begin(), order_.end(), 0u);
  // Salt 0 is the epoch's block order; pools follow from 1.
  RandomStream random(mix_seed(mix_seed(seed_, static_cast<std::uint64_t>(epoch)), 0));
  shuffle(std::span(order_), random);
  pool_first_.clear();
  std::int64_t position = 0;
  for (std::size_t i = 0; i < order_.size(); ++i) {
    if (i % pool_blocks_ == 0) pool_first_.push_back(position);
    position += blocks_[order_[i]].count;
  }
  epoch_ = epoch;
}

std::vector<RowRange> BlockOrder::blocks_of(std::size_t pool) const {
  std::vector<RowRange> blocks;
  const std::size_t end = std::min(order_.size(), (pool + 1) * pool_blocks_);
  for (std::size_t i = pool * pool_blocks_; i < end; ++i) blocks.push_back(blocks_[order_[i]]);
  return blocks;
}

const BlockOrder::Pool& BlockOrder::pool_at(std::int64_t position) {
  if (pool_.holds(position)) return pool_;
  const std::int64_t epoch = position / rows_;
  enter_epoch(epoch);
  const auto after = std::upper_bound(pool_first_.begin(), pool_first_.end(), position - epoch * rows_);
  const auto index = static_cast<std::size_t>(after - pool_first_.begin() - 1);
  Pool pool;
  pool.first = epoch * rows_ + pool_first_[index];
  pool.blocks = blocks_of(index);
  if (after != pool_first_.end()) pool.next_blocks = blocks_of(index + 1);
  for (const RowRange& block : pool.blocks) {
    for (std::int64_t i = 0; i < block.count; ++i) pool.rows.push_back(block.first + i);
  }
  RandomStream random(mix_seed(mix_seed(seed_, static_cast<std::uint64_t>(epoch)), index + 1));
  shuffle(std::span(pool.rows), random);
  pool_ = std::move(pool);
  return pool_;
}

}  // namespace regulon::core
