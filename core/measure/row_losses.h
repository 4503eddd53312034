#pragma once
/// The loss of each row: its distribution, its tail, and two runs' losses beside each other.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <vector>

namespace regulon::core {

/// |x - xhat|^2 of each row as stored, [B] double, of `rows` and `rebuilt` [B, d] as the model sees them:
/// normalised by `scale`.
at::Tensor row_losses(const at::Tensor& rows, const at::Tensor& rebuilt, double scale);

/// Quantiles of values of at least 0 that come in batches, from counts in bins whose edges are 0.1% apart:
/// memory does not grow with the values, and a quantile is right to 0.1% of itself. Values below 1e-30 count
/// as zero, above 1e30 as that.
class QuantileCounter {
 public:
  QuantileCounter();
  /// Counts in `values` [B] double, none negative. Throws RunError, and counts none, if one is not finite.
  void add(const at::Tensor& values);
  std::int64_t count() const { return count_; }
  /// The value that `share` of the values do not exceed; 0 without values.
  double at(double share) const;
  /// Sum over the highest `share` of the values.
  double sum_of_highest(double share) const;

 private:
  std::vector<std::int64_t> bins_;
  std::int64_t count_ = 0;
};

/// A row and what made it worth naming.
struct NamedRow {
  std::int64_t row = 0;  ///< from 0, in the order in which rows came
  double loss = 0;
  double other = 0;  ///< the other run's, where there are two
};

/// Keeps the rows with the highest keys, highest first; of equal keys, the earlier row.
class TopRows {
 public:
  explicit TopRows(std::int64_t count) : count_(count) {}
  void add(double key, const NamedRow& row);
  std::vector<NamedRow> rows() const;

 private:
  struct Entry {
    double key;
    NamedRow row;
  };
  static bool before(const Entry& x, const Entry& y) {
    return x.key != y.key ? x.key > y.key : x.row.row < y.row.row;
  }
  std::int64_t count_;
  std::vector<Entry> entries_;  ///< a heap, the lowest on top
};

/// How the losses of one run lie.
struct LossSpread {
  std::int64_t rows = 0;
  double mean = 0;
  std::vector<std::pair<double, double>> quantiles;  ///< share, loss: 50%, 90%, 99%, 99.9%
  double highest = 0;
  double tail = 0;  ///< share of the whole loss that the worst hundredth of the rows bears
  std::vector<NamedRow> worst;
};

/// Collects the losses of one run.
class LossCollector {
 public:
  explicit LossCollector(std::int64_t named = 8) : worst_(named) {}
  /// Counts in the next rows' `losses` [B] double. Throws RunError, and counts none, if one is not finite.
  void add(const at::Tensor& losses);
  /// All losses over `unit`.
  LossSpread result(double unit) const;

 private:
  std::int64_t rows_ = 0;
  double sum_ = 0;
  double highest_ = 0;
  QuantileCounter quantiles_;
  TopRows worst_;
};

/// Two runs' losses on the same rows.
struct LossComparison {
  LossSpread a;
  LossSpread b;
  std::optional<double> correlation;      ///< Pearson's, of the losses; none where one side's do not vary
  std::optional<double> log_correlation;  ///< of their logarithms, in which the tail weighs less
  double a_better = 0;                    ///< share of rows on which A's loss is lower
  std::vector<NamedRow> a_worse;  ///< rows on which A's loss is furthest above B's, and is above it at all
  std::vector<NamedRow> b_worse;
};

/// Collects both.
class LossPairCollector {
 public:
  explicit LossPairCollector(std::int64_t named = 8)
      : a_(named), b_(named), a_worse_(named), b_worse_(named) {}
  /// Counts in the next rows' losses of both, [B] double each. Throws RunError if one is not finite.
  void add(const at::Tensor& a, const at::Tensor& b);
  LossComparison result(double unit) const;

 private:
  /// Means and products of deviations of two columns, merged batch by batch (Chan, Golub & LeVeque 1979).
  struct Moments {
    double count = 0, mean_x = 0, mean_y = 0, xx = 0, yy = 0, xy = 0;
    void add(const at::Tensor& x, const at::Tensor& y);
    /// None unless both columns have a standard deviation of more than that.
    std::optional<double> correlation(double least_x, double least_y) const;
  };
  LossCollector a_;
  LossCollector b_;
  Moments plain_;
  Moments logarithms_;
  std::int64_t rows_ = 0;
  std::int64_t a_lower_ = 0;
  TopRows a_worse_;
  TopRows b_worse_;
};

nlohmann::json to_json(const LossSpread& spread);
nlohmann::json to_json(const LossComparison& comparison);

}  // namespace regulon::core
