#pragma once
#include <regulon/pairs.h>
#include <regulon/plugin.h>

#include <cstdint>
#include <map>
#include <string>

/// What random chunks miss: some rows a call, in rotation, whose nearest neighbour within their chunk is held
/// against the nearest of all. *Recall* is the share of rows whose nearest shared their chunk, *deficit* by
/// how much cosine the others fell short, on average over all rows; a row alone in its chunk counts as one
/// whose neighbour is at a right angle.
class ChunkAudit {
 public:
  /// Registers what is kept, under "chunks.figures".
  void prepare(regulon::Preparation& preparation);
  /// Looks at some rows of `unit_rows` [n, d], of those from `first` on, whose neighbours within chunks of
  /// `chunk` rows are `found`: a sixteenth of the chunk, which costs an eighth of its search, and 64 at most.
  void take(const at::Tensor& unit_rows, const regulon::ops::Neighbours& found, bool absolute,
            std::int64_t first, std::int64_t chunk);
  /// "recall" in [0, 1] and "deficit" in cosine over the last 1,024 rows or more that were looked at (the
  /// first ones, so far). Empty before any were.
  std::map<std::string, double> report() const;

 private:
  at::Tensor figures_;  ///< [7] double: see chunk_audit.cpp
};
