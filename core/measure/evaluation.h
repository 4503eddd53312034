#pragma once
/// How well a sparse autoencoder reconstructs rows, and how sparsely.

#include <ATen/core/Tensor.h>
#include <regulon/codes.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>

#include "core/data/normalisation.h"

namespace regulon::core {

/// Figures over a set of rows.
struct Evaluation {
  std::int64_t rows = 0;
  double fvu = 0;                 ///< sum |x - xhat|^2 / sum |x - mean x|^2, mean over these rows
  double explained_variance = 0;  ///< 1 - fvu
  /// What peers print that take the total variance for E|x|^2 less the square of one scalar, the mean of all
  /// entries, of rows as stored: above the right one unless the mean row is zero (or d is 1).
  double explained_variance_legacy = 0;
  double variance = 0;       ///< mean over rows of |x - mean x|^2, of rows as stored
  double mse = 0;            ///< mean over rows of |x - xhat|^2, in normalised units
  double l0 = 0;             ///< active features a row
  double l1 = 0;             ///< sum of values a row
  double unused_share = 0;   ///< share of features active in none of these rows
  double cosine = 0;         ///< mean over rows of cos(x, xhat)
  double norm_ratio = 0;     ///< mean over rows of |xhat| / |x|
  double relative_bias = 0;  ///< E|xhat|^2 / E<x, xhat>: below one is shrinkage
  /// sum over features of p ln(1/p), p the frequency: what a row's active features cost to name, in nats
  double code_length = 0;
  at::Tensor frequency;  ///< [n] double: share of these rows in which each feature is active
};

/// The evaluation as a JSON object. Of the frequencies it holds a histogram: the share of features that are
/// active in none of the rows, in fewer than one in 10,000, in 1,000, in 100, in 10, and in more.
nlohmann::json to_json(const Evaluation& evaluation);

/// Active features a row, mean over the rows; zero without rows.
double mean_l0(const Codes& codes);

/// Collects an evaluation batch by batch: memory does not grow with the rows.
class Evaluator {
 public:
  /// `normalisation`: what made the rows that come from those that are stored.
  Evaluator(std::int64_t features, std::int64_t width, Normalisation normalisation = {});
  /// Counts in rows [B, d], their codes and their reconstruction [B, d].
  void add(const at::Tensor& rows, const Codes& codes, const at::Tensor& reconstruction);
  /// The figures so far. With no rows, all are zero.
  Evaluation result() const;

 private:
  double legacy_variance() const;

  Normalisation normalisation_;
  std::int64_t rows_ = 0;
  at::Tensor counts_;     ///< [n] int64
  at::Tensor row_sum_;    ///< [d] double
  double squared_ = 0;    ///< sum |x|^2
  double error_ = 0;      ///< sum |x - xhat|^2
  double inner_ = 0;      ///< sum <x, xhat>
  double rebuilt_ = 0;    ///< sum |xhat|^2
  double value_sum_ = 0;  ///< sum of code values
  double cosine_ = 0;
  double norm_ratio_ = 0;
};

}  // namespace regulon::core
