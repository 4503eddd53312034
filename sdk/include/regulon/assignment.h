#pragma once
/// The linear assignment problem over listed pairs.

#include <cstdint>
#include <vector>

namespace regulon::ops {

/// Pairs that may be matched, row by row (compressed sparse rows).
struct AssignmentPairs {
  std::int64_t columns = 0;
  std::vector<std::int64_t> offsets;  ///< [rows + 1]: the row's pairs are offsets[i] … offsets[i + 1]
  std::vector<std::int64_t> column;   ///< of each pair; none twice in a row
  std::vector<double> cost;           ///< of each pair, at least 0
  double unmatched = 0;               ///< cost of a row that is left without a column
};

/// The cheapest matching, with the prices that prove it.
struct Assignment {
  std::vector<std::int64_t> column;  ///< [rows]: -1 for a row that is left without one
  /// [columns], at most 0, and 0 for columns that nobody has: with u_i the least of cost_ij - price_j over a
  /// row's pairs and `unmatched`, the matching costs the sum of the u_i and the prices; none is cheaper.
  std::vector<double> price;
};

/// Matches every row with at most one column and every column with at most one row, at the least total cost:
/// successive shortest augmenting paths with prices (Jonker & Volgenant 1987, "A shortest augmenting path
/// algorithm for dense and sparse linear assignment problems"; the path search is Dijkstra's, with a heap).
/// Exact up to rounding in double; ties go to lower columns. Memory is that of the pairs.
Assignment assign(const AssignmentPairs& pairs);

}  // namespace regulon::ops
