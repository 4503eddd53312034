#pragma once
/// Pairs of dictionary rows: which are looked at, how near they are, and what that costs. Never n x n.
/// Float and double, on the CPU; the same bits for every number of threads. Operations throw RunError on
/// shapes, dtypes and settings that do not fit.

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <regulon/codes.h>

#include <cstdint>

namespace regulon::ops {

/// What a pair of rows of cosine c costs: phi(s), of its size s = |c|, or s = c where cosines are signed.
/// phi(0) = 0, and phi(1) = 1 without a cap.
struct PairPenalty {
  enum class Shape {
    linear,   ///< s (Till 2024, "Do sparse autoencoders find true features?", and Riggs in the comments)
    square,   ///< s^2, or max(s, 0)^2 (OrtSAE, arXiv 2509.22033)
    sigmoid,  ///< a logistic curve about s = 1/2, moved and scaled to pass (0, 0) and (1, 1) (Riggs, there)
    convex    ///< ((s - margin) / (1 - margin))^steepness above the margin, zero below (Till, there)
  };
  Shape shape = Shape::linear;
  bool absolute = true;
  double margin = 0;     ///< convex: in [0, 1)
  double steepness = 2;  ///< convex: the exponent, at least 1
  double slope = 10;     ///< sigmoid: above 0
  /// Above 0: a size beyond it costs what the cap costs, without gradient; from 1 on there is no cap.
  double cap = 1;
};

/// Sum over pairs of weights * phi(cosines): a scalar with gradient to `cosines` [pairs], none to `weights`
/// [pairs].
at::Tensor pair_penalty(const at::Tensor& cosines, const at::Tensor& weights, const PairPenalty& penalty);

/// Weights of pairs by rows: (of_rows_i + of_rows_j)^power, constants in the gradient.
struct PairStrengths {
  at::Tensor of_rows;  ///< [n], not negative; undefined: all pairs weigh one
  double power = 1;
};

/// Mean of weight * phi(cos(w_i, w_j)) over the ordered pairs i != j, for unit rows [n, d] (or rows of
/// zeros): a scalar with gradient to the rows (Till 2024). `rows` [s] int64, ascending: only pairs whose i is
/// among them, with all j; undefined: all. In blocks, symmetric work used; squares without weights cost at
/// most the product of d x d, signed linear penalties one sum. No pairs give zero.
at::Tensor all_pairs(const at::Tensor& unit_rows, const PairPenalty& penalty, const at::Tensor& rows = {},
                     const PairStrengths& strengths = {});

/// Of rows i other rows that are near.
struct Neighbours {
  at::Tensor row;    ///< [pairs] int64: i, ascending
  at::Tensor other;  ///< [pairs] int64: a neighbour of i; several, ascending, where they tie exactly
  at::Tensor share;  ///< [pairs] floating: 1 / number of i's pairs, so that each row weighs one
};

/// Ties of one row that the exact search hands out at most, those of the lowest ids: n equal rows are not to
/// be n x n pairs.
inline constexpr std::int64_t kMostTies = 64;

/// Whose neighbours are wanted, and which.
struct NearestSettings {
  std::int64_t rank = 1;  ///< r: the r-th nearest; of a row with fewer others the farthest there is
  bool absolute = true;   ///< near by |cos|, or by cos
  at::Tensor rows =
      {};  ///< [s] int64, ascending, each once: the rows whose neighbours are wanted; undefined: all
};

/// The r-th nearest other row of each row, among all n. Exact, by a blocked product with a running maximum:
/// never n x n, time or pairs, whatever ties (kMostTies a row). Rows of zeros have no neighbour and are left
/// out, as neighbours too; nor is a row at a right angle a neighbour where |cos| counts, since nothing pulls
/// it: as in NeighbourLists. Without gradient; unit_rows [n, d].
Neighbours nearest_neighbours(const at::Tensor& unit_rows, const NearestSettings& settings = {});

/// The nearest other row of each row within its chunk, of ceil(n / chunk) random chunks of about equal size
/// (OrtSAE): n * chunk * d multiply-adds at most, and most near pairs are missed. Rows alone in their chunk,
/// or of zeros, are left out. Without gradient; unit_rows [n, d].
Neighbours chunk_neighbours(const at::Tensor& unit_rows, std::int64_t chunk, at::Generator generator,
                            bool absolute = true);

/// cos(w_row, w_other) of listed pairs: [pairs] with gradient to `rows` [n, d], which may be of any length
/// (rows of zeros have cosine zero); `row` and `other` are [pairs] int64. Cheaper than pairs of unit rows:
/// neither those nor their gradient are made.
at::Tensor pair_cosines(const at::Tensor& rows, const at::Tensor& row, const at::Tensor& other);

/// [n]: root mean square of each feature's active values over the B rows of the codes; no gradient. The norm
/// over the batch that C2R (arXiv 2606.30609) adds up is sqrt(B) times this.
at::Tensor activation_norms(const Codes& codes);

/// [pairs] in [0, 1]: E[z_i z_j] / sqrt(E[z_i^2] E[z_j^2]) of listed pairs of features, over the active
/// values of the codes; zero where one never fires. `row` and `other` [pairs] int64. No gradient. O(entries
/// of both features) a pair.
at::Tensor joint_activations(const Codes& codes, const at::Tensor& row, const at::Tensor& other);

}  // namespace regulon::ops
