#pragma once
/// The order in which stored rows are trained on.

#include <cstdint>
#include <vector>

#include "core/data/shards.h"

namespace regulon::core {

/// An endless stream of epochs, each all rows once. In each epoch the blocks are put into a random order;
/// runs of `pool_blocks` blocks form pools, and the rows of a pool are put into a random order. So the disk
/// is read in whole blocks, rows mix as far as a pool reaches, and what stands at a position depends on the
/// seed and the position alone. Only one pool's order is held.
class BlockOrder {
 public:
  BlockOrder() = default;
  /// `blocks` and `pool_blocks` hold at least one, every block at least one row.
  BlockOrder(std::vector<RowRange> blocks, std::int64_t pool_blocks, std::uint64_t seed);

  /// Some rows in the order of training.
  struct Pool {
    std::int64_t first = 0;             ///< position of rows[0] in the stream
    std::vector<std::int64_t> rows;     ///< row numbers
    std::vector<RowRange> blocks;       ///< where they lie
    std::vector<RowRange> next_blocks;  ///< where the next pool's lie; empty at the end of an epoch

    bool holds(std::int64_t position) const {
      return position >= first && position < first + static_cast<std::int64_t>(rows.size());
    }
  };

  std::int64_t rows() const { return rows_; }  ///< of an epoch
  /// The pool that was asked for last; has no rows before the first call of pool_at.
  const Pool& pool() const { return pool_; }
  /// The pool that holds `position` (at least 0): made if it is another than pool().
  const Pool& pool_at(std::int64_t position);

 private:
  void enter_epoch(std::int64_t epoch);
  std::vector<RowRange> blocks_of(std::size_t pool) const;

  std::vector<RowRange> blocks_;
  std::size_t pool_blocks_ = 1;
  std::uint64_t seed_ = 0;
  std::int64_t rows_ = 0;

  std::int64_t epoch_ = -1;
  std::vector<std::uint32_t> order_;      // [blocks]: of the epoch
  std::vector<std::int64_t> pool_first_;  // [pools]: position of each pool's first row in the epoch
  Pool pool_;
};

}  // namespace regulon::core
