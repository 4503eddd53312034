#pragma once
/// One dictionary's directions matched one to one with another's, or with each other.

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace regulon::ops {

/// How hard to look.
struct MatchSettings {
  bool absolute = false;         ///< opposite directions count as alike
  bool no_fixed_points = false;  ///< both are the same rows, and none is matched with itself
  std::int64_t candidates = 32;  ///< nearest of each row, and a quarter as many of each column, to begin with
  std::int64_t passes = 12;      ///< over all pairs, at most, to prove the matching or to find better pairs
  double tolerance = 1e-5;       ///< of the mean cosine, at which a matching counts as the best
};

/// A matching of all rows of the smaller side.
struct Matching {
  at::Tensor other;    ///< [n] int64: the row of B that a row of A has; -1 where B is smaller and it has none
  at::Tensor cosine;   ///< [n]: of the pair, in absolute value if so asked; 0 without one
  double mean = 0;     ///< over the min(n, m) pairs: the mean correlation coefficient (MCC)
  double at_most = 0;  ///< no matching has a higher mean: `mean` itself where the matching is proven the best
  bool exact = true;   ///< the two differ by no more than the tolerance
  std::int64_t pairs = 0;  ///< min(n, m)
};

/// Matches directions `a` [n, d] with `b` [m, d], both of length one, so that the mean cosine is highest: the
/// linear assignment problem, without its n x m matrix. It is solved over the nearest candidates of each row
/// and column; a blocked pass over all pairs then prices them: it gives a bound that no matching can exceed,
/// and the pairs that could improve on the matching, which become candidates (column generation). Repeated
/// until bound and matching agree, or `passes` are over. O(n m d) a pass, memory that of the candidates.
/// Float or double; throws RunError on shapes that do not fit.
Matching match_rows(const at::Tensor& a, const at::Tensor& b, const MatchSettings& settings = {});

}  // namespace regulon::ops
