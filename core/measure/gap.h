#pragma once
/// The amortisation gap: how far an encoder's codes are from those that solvers find with the same dictionary
/// on the same rows.

#include <ATen/core/Tensor.h>
#include <regulon/codes.h>
#include <regulon/step.h>

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/io/named_tensors.h"

namespace regulon::core {

/// What is compared.
struct GapSettings {
  std::vector<std::string> solvers = {"cd", "omp", "gradient_pursuit"};
  double lambda = 0;   ///< price at which objectives are compared; 0: where the lasso has the encoder's L0
  std::int64_t k = 0;  ///< of pursuits; 0: the encoder's mean L0, rounded
  std::int64_t worst = 8;  ///< rows to name
};

/// Mean, and standard deviation over the rows.
struct RowFigure {
  double mean = 0;
  double spread = 0;
};

/// One way to get codes, over all rows.
struct GapMethod {
  std::string name;    ///< "encoder", "cd", "omp", …
  double lambda = 0;   ///< it was solved at; 0: not by lambda
  std::int64_t k = 0;  ///< likewise
  double fvu = 0;
  double seconds_per_row = 0;  ///< wall time, all threads
  RowFigure objective;  ///< 1/2 |x - xhat|^2 + lambda * sum of costs times codes, at the report's lambda
  RowFigure error;      ///< |x - xhat|^2
  RowFigure l0;
  RowFigure distance;  ///< |f_encoder - f| / |f|; where f is zero, 0 or 1
  RowFigure common;    ///< features active in both over those active in either; 1 where there are none
  RowFigure gap;       ///< duality gap of what was solved; NaN without lambda
  NamedTensors rows;   ///< [R] double each: objective, error, l0, distance, common, gap
};

/// The encoder first, then the solvers.
struct GapReport {
  std::int64_t rows = 0;
  double lambda = 0;
  std::vector<GapMethod> methods;
  /// Rows in which the encoder's objective is furthest above the first solver's, worst first.
  std::vector<std::int64_t> worst;
};

/// Solves for `rows` [R, d] (as the model sees them) in every way, and compares. `encode` gives the encoder's
/// codes of them, and is timed. Throws InputError for settings that make no sense, or no rows.
GapReport measure_gap(const GapSettings& settings, const Dictionary& dictionary, const at::Tensor& costs,
                      const at::Tensor& rows, const std::function<Codes()>& encode);

/// The lambda at which the lasso has a mean L0 of `l0` over `rows`, within a per cent or so, by bisection on
/// its logarithm.
double lambda_for_l0(const Dictionary& dictionary, const at::Tensor& costs, const at::Tensor& rows,
                     double l0);

nlohmann::json to_json(const GapReport& report);
/// The table by row: "METHOD.FIGURE" [R] double.
NamedTensors row_table(const GapReport& report);

}  // namespace regulon::core
