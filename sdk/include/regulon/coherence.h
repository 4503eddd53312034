#pragma once
/// The coherence of a dictionary: the largest |cosine| of two of its rows, penalised or capped. In blocks:
/// never n x n. Float and double.

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace regulon::ops {

/// The Welch bound sqrt((n - d) / (d (n - 1))): no n lines in d dimensions have a lower coherence; 0 for n at
/// most d (Welch 1974, "Lower bounds on the maximum cross correlation of signals"). n = d + 1 lines reach it
/// (a simplex); most larger n do not.
double welch_bound(std::int64_t features, std::int64_t width);

/// Sum over rows i of at least `frozen_rows`, and over all j != i, of (|cos(u_i, u_j)| - mu)², where that is
/// above zero; a scalar with gradient to unit rows [n, d], but not to the frozen ones. Blocks of cosines are
/// screened; only pairs above mu cost more, unless a block has many. O(n² d), memory n d.
at::Tensor coherence_excess(const at::Tensor& unit_rows, double mu, std::int64_t frozen_rows = 0);

/// How a dictionary is brought under a cap.
struct CapSettings {
  double mu = 1;                 ///< cap of |cosine|
  double tolerance = 1e-4;       ///< by which a cosine may still exceed it
  std::int64_t iterations = 0;   ///< passes over all pairs after the first, which only looks, at most
  std::int64_t frozen_rows = 0;  ///< rows below do not move, and may exceed the cap among themselves
  at::Generator generator;       ///< which way equal rows part
};

/// What came of it.
struct CapResult {
  double before = 0;  ///< largest |cosine|, not counting pairs of frozen rows
  double after = 0;   ///< the same of the result, from a pass over all its pairs; the best that was seen
  std::int64_t passes = 0;  ///< over all pairs, the first included
  at::Tensor moved;         ///< [m] int64: ids of the rows that moved, ascending
  bool reached = false;     ///< after <= mu + tolerance
};

/// Turns rows [n, d] in place so that no |cosine| exceeds mu: near to where they are, each of the length that
/// it has. Rows of zeros are left alone, and rows that are in no pair above mu as a rule are not touched.
///
/// First offending pairs are turned apart, one after the other, each in its plane and just as far as needed
/// (alternating projection; equal rows part in a random direction). Where they keep pushing each other back
/// over the cap, as they do near the Welch bound, the sum of squared excesses is descended by accelerated
/// gradients that restart (Nesterov 1983; O'Donoghue & Candes 2015, "Adaptive restart for accelerated
/// gradient schemes"). Both work on a list of close pairs while that is short; each pass over all pairs
/// renews it and measures. The rows are written only if the cap is reached. Throws RunError on rows that are
/// not finite.
CapResult cap_coherence(at::Tensor& rows, const CapSettings& settings);

}  // namespace regulon::ops
