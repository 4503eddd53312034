#include "core/data/block_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace regulon::core {
namespace {

TEST(BlockOrder, APoolHoldsWholeBlocksInAnyOrder) {
  std::vector<RowRange> blocks;
  for (std::int64_t i = 0; i < 10; ++i) blocks.push_back({i * 100, i == 9 ? 3 : 4});
  BlockOrder order(blocks, 4, 1);
  EXPECT_EQ(order.rows(), 39);
  std::set<std::int64_t> seen;
  std::int64_t position = 0;
  for (const std::size_t expected_blocks : {4u, 4u, 2u}) {
    const BlockOrder::Pool pool = order.pool_at(position);
    EXPECT_EQ(pool.first, position);
    EXPECT_EQ(pool.blocks.size(), expected_blocks);
    std::set<std::int64_t> rows(pool.rows.begin(), pool.rows.end());
    std::size_t in_blocks = 0;
    for (const RowRange& block : pool.blocks) {
      for (std::int64_t i = 0; i < block.count; ++i, ++in_blocks) EXPECT_TRUE(rows.contains(block.first + i));
    }
    EXPECT_EQ(in_blocks, pool.rows.size());
    EXPECT_FALSE(std::is_sorted(pool.rows.begin(), pool.rows.end()));
    seen.insert(rows.begin(), rows.end());
    position += static_cast<std::int64_t>(pool.rows.size());
  }
  EXPECT_EQ(position, 39);
  EXPECT_EQ(seen.size(), 39u);
}

TEST(BlockOrder, KnowsWhichBlocksComeNext) {
  BlockOrder order({{0, 5}, {5, 5}, {10, 5}}, 1, 3);
  const std::vector<RowRange> next = order.pool_at(0).next_blocks;
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(order.pool_at(5).blocks[0].first, next[0].first);
  EXPECT_TRUE(order.pool_at(14).next_blocks.empty());
  EXPECT_EQ(order.pool_at(15).first, 15) << "the next epoch";
}

TEST(BlockOrder, EveryOrderOfBlocksIsEquallyLikely) {
  // Six orders of three blocks over many epochs: chi-squared with 5 degrees of freedom, 99.99 % below 25.7.
  BlockOrder order({{0, 1}, {1, 1}, {2, 1}}, 1, 7);
  std::map<std::vector<std::int64_t>, int> counts;
  constexpr int kEpochs = 6000;
  for (std::int64_t epoch = 0; epoch < kEpochs; ++epoch) {
    std::vector<std::int64_t> rows;
    for (std::int64_t i = 0; i < 3; ++i) rows.push_back(order.pool_at(3 * epoch + i).rows[0]);
    ++counts[rows];
  }
  double chi_squared = 0;
  for (const auto& [rows, count] : counts) chi_squared += (count - 1000.0) * (count - 1000.0) / 1000.0;
  EXPECT_EQ(counts.size(), 6u);
  EXPECT_LT(chi_squared, 25.7);
}

}  // namespace
}  // namespace regulon::core
