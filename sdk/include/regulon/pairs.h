#pragma once
/// Pairs of dictionary rows: which are to be looked at, how near they are, and what that costs. Never n x n.
/// Float and double; the same bits for every number of threads.

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace regulon::ops {

/// How a cosine becomes a penalty.
enum class PairShape { absolute, square };

/// Mean over all ordered pairs i != j of shape(cos(w_i, w_j)), for unit rows [n, d]: a scalar with gradient
/// to the rows. In blocks, symmetric work used: never an n x n matrix. n < 2 gives zero. (Till 2024.)
at::Tensor all_pairs(const at::Tensor& unit_rows, PairShape shape);

/// The nearest other row of each row by absolute cosine.
struct Neighbours {
  at::Tensor row;    ///< [pairs] int64: i, ascending
  at::Tensor other;  ///< [pairs] int64: a nearest neighbour of i; several where they tie exactly
  at::Tensor share;  ///< [pairs] floating: 1 / number of ties of i, so that each row weighs one
};
/// Exact, by a blocked product with a running maximum: never n x n. Rows that are zero have no neighbour and
/// are left out, as neighbours too. Without gradient; unit_rows [n, d].
Neighbours nearest_neighbours(const at::Tensor& unit_rows);

/// cos(w_row, w_other) of listed pairs: [pairs] with gradient to `rows` [n, d], which may be of any length
/// (rows of zeros have cosine zero); `row` and `other` are [pairs] int64. Cheaper than pairs of unit rows:
/// neither those nor their gradient are made.
at::Tensor pair_cosines(const at::Tensor& rows, const at::Tensor& row, const at::Tensor& other);

}  // namespace regulon::ops
