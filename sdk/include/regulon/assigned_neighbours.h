#pragma once
/// Each row with a neighbour of its own: no two have the same one.

#include <ATen/core/Tensor.h>

namespace regulon::ops {

/// Pairs of rows in which each row stands once on either side.
struct AssignedNeighbours {
  at::Tensor row;      ///< [pairs] int64: i, ascending; all rows but those of zeros
  at::Tensor other;    ///< [pairs] int64: the row that i has, never i itself: a permutation of `row`
  at::Tensor share;    ///< [pairs] floating: 1, as no row has two
  double mean = 0;     ///< size of the pairs' cosines
  double at_most = 0;  ///< no assignment has a higher mean
  bool exact = true;   ///< the two differ by no more than 1e-6 (double: 1e-10)
};

/// The one-to-one assignment i -> j != i of unit rows [n, d] with the largest sum of |cosines|, or of cosines
/// if `absolute` is false: a permutation without fixed points, which need not be mutual. Exact to rounding,
/// by `match_rows`: blocks of cosines and lists of candidates, never n x n. Rows of zeros are left out, as
/// neighbours too; fewer than two other rows have no pairs, two have each other. Without gradient.
AssignedNeighbours assigned_neighbours(const at::Tensor& unit_rows, bool absolute = true);

}  // namespace regulon::ops
