#pragma once
/// Feature arithmetic: is a direction a sparse sum, without negative parts, of directions of another
/// dictionary?

#include <ATen/core/Tensor.h>

#include <regulon/codes.h>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/io/named_tensors.h"

namespace regulon::core {

/// How sums are looked for.
struct ArithmeticSettings {
  std::vector<std::int64_t> parts = {1, 2, 3, 4, 8};  ///< orthogonal matching pursuit, at most so many parts
  std::vector<double> lambdas = {0.1, 0.3};           ///< the lasso, of directions of length one
  std::int64_t features = 2048;  ///< directions that are looked at, at most: evenly spaced ones
  std::uint64_t seed = 0;        ///< of the random directions beside them
};

/// What one solver made of the directions.
struct ArithmeticPoint {
  std::string solver;  ///< "omp" or "cd"
  std::int64_t k = 0;  ///< parts at most; 0: by lambda
  double lambda = 0;
  double mean_cosine = 0;    ///< of direction and sum
  double random_cosine = 0;  ///< the same of random directions
  double share_90 = 0;       ///< of directions whose sum has a cosine of at least 0.9 with them
  double share_95 = 0;
  double random_90 = 0;  ///< share of random directions
  double parts = 0;      ///< mean number of parts of those with 0.9; 0 without any
};

/// The directions of one dictionary as sums of another's.
struct Arithmetic {
  std::int64_t features = 0;  ///< looked at
  std::int64_t of = 0;        ///< all
  std::vector<ArithmeticPoint> points;
  double same = 0;      ///< share that one part explains to a cosine of 0.9
  double combined = 0;  ///< share that one part does not, and a few (most_parts) do
  std::int64_t most_parts = 4;
  at::Tensor ids;      ///< [features] int64: rows looked at
  at::Tensor cosines;  ///< [features, points] float32
  /// [features] codes over the other dictionary's rows: the parts, at most `most_parts`.
  std::optional<Codes> sums;
};

/// Looks for every direction of `rows` [n, d] as a sum of `parts` [m, d], both of length one, by the solvers.
/// Throws InputError where one of them has no row.
Arithmetic feature_arithmetic(const at::Tensor& rows, const at::Tensor& parts,
                              const ArithmeticSettings& settings = {});

nlohmann::json to_json(const Arithmetic& arithmetic);
/// "ids", "cosines", and of the sums "row_offsets", "feature_ids", "values", each after `prefix`.
NamedTensors arithmetic_tables(const Arithmetic& arithmetic, const std::string& prefix);

}  // namespace regulon::core
