#pragma once
/// How select_product goes about its work. Nothing here shows in the codes.

#include <cstdint>

namespace regulon::ops::detail {

/// Smallest number of rows and of elements of each at which packing the features pays.
inline constexpr std::int64_t kHalfRows = 64;
inline constexpr std::int64_t kHalfWidth = 64;

struct SelectSettings {
  std::int64_t block_rows = 512;  ///< rows that one thread screens at a time, at most
  std::int64_t tile_features =
      1024;                       ///< features of a tile: block_rows * tile_features products stay in cache
  std::int64_t sample_rows = 48;  ///< rows from which the batch's threshold is guessed
};

}  // namespace regulon::ops::detail
