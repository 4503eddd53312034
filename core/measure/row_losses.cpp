#include "core/measure/row_losses.h"

#include <fmt/format.h>
#include <regulon/error.h>
#include <regulon/sums.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace regulon::core {
namespace {

constexpr double kLowest = 1e-30;  ///< of the bins
constexpr double kHighest = 1e30;
constexpr double kBinStep = 0.001;  ///< logarithm of the ratio of a bin's edges
constexpr double kShares[] = {0.5, 0.9, 0.99, 0.999};
constexpr double kTail = 0.01;
/// Standard deviation, over the mean, from which losses vary at all: less is what rounding makes of equal
/// ones.
constexpr double kVaries = 1e-6;

std::int64_t bin_of(double value) {
  if (value < kLowest) return 0;
  return 1 + static_cast<std::int64_t>(std::log(std::min(value, kHighest) / kLowest) / kBinStep);
}

/// Throws RunError for a value that has no bin; rows are counted from `first`.
void require_finite(const double* values, std::int64_t count, std::int64_t first) {
  const double* const bad =
      std::find_if(values, values + count, [](double value) { return !std::isfinite(value); });
  if (bad == values + count) return;
  throw RunError({"the losses", fmt::format("row {} (counted from 0) has none", first + (bad - values)),
                  "a finite |x - xhat|^2", std::isnan(*bad) ? "NaN" : "infinity",
                  "Look at the run's weights and at that row: one of them is too large, or not finite."});
}

double value_of(std::int64_t bin) {
  return bin == 0 ? 0 : kLowest * std::exp((static_cast<double>(bin) - 0.5) * kBinStep);
}

nlohmann::json rows_json(const std::vector<NamedRow>& rows, const char* mine, const char* others) {
  nlohmann::json array = nlohmann::json::array();
  for (const NamedRow& one : rows) {
    nlohmann::json object = {{"row", one.row}, {mine, one.loss}};
    if (others != nullptr) object[others] = one.other;
    array.push_back(std::move(object));
  }
  return array;
}

nlohmann::json number_json(const std::optional<double>& number) {
  return number ? nlohmann::json(*number) : nlohmann::json();
}

void scale(std::vector<NamedRow>& rows, double unit) {
  for (NamedRow& one : rows) {
    one.loss /= unit;
    one.other /= unit;
  }
}

}  // namespace

at::Tensor row_losses(const at::Tensor& rows, const at::Tensor& rebuilt, double scale) {
  return (rows.to(at::kDouble) - rebuilt.to(at::kDouble)).square().sum(1) / (scale * scale);
}

QuantileCounter::QuantileCounter() : bins_(static_cast<std::size_t>(bin_of(kHighest) + 1)) {}

void QuantileCounter::add(const at::Tensor& values) {
  const at::Tensor whole = values.contiguous();
  const double* const value = whole.const_data_ptr<double>();
  require_finite(value, whole.numel(), count_);
  for (std::int64_t i = 0; i < whole.numel(); ++i) ++bins_[static_cast<std::size_t>(bin_of(value[i]))];
  count_ += whole.numel();
}

double QuantileCounter::at(double share) const {
  const auto wanted = static_cast<std::int64_t>(std::ceil(share * static_cast<double>(count_)));
  std::int64_t so_far = 0;
  for (std::size_t bin = 0; bin < bins_.size(); ++bin) {
    so_far += bins_[bin];
    if (so_far >= wanted && so_far > 0) return value_of(static_cast<std::int64_t>(bin));
  }
  return 0;
}

double QuantileCounter::sum_of_highest(double share) const {
  auto left = static_cast<std::int64_t>(std::ceil(share * static_cast<double>(count_)));
  double sum = 0;
  for (std::size_t bin = bins_.size(); bin-- > 0 && left > 0;) {
    const std::int64_t taken = std::min(left, bins_[bin]);
    sum += static_cast<double>(taken) * value_of(static_cast<std::int64_t>(bin));
    left -= taken;
  }
  return sum;
}

void TopRows::add(double key, const NamedRow& row) {
  const Entry entry{key, row};
  if (static_cast<std::int64_t>(entries_.size()) == count_) {
    if (count_ == 0 || !before(entry, entries_.front())) return;
    std::pop_heap(entries_.begin(), entries_.end(), before);
    entries_.pop_back();
  }
  entries_.push_back(entry);
  std::push_heap(entries_.begin(), entries_.end(), before);
}

std::vector<NamedRow> TopRows::rows() const {
  std::vector<Entry> sorted = entries_;
  std::sort(sorted.begin(), sorted.end(), before);
  std::vector<NamedRow> rows;
  for (const Entry& entry : sorted) rows.push_back(entry.row);
  return rows;
}

void LossCollector::add(const at::Tensor& losses) {
  const at::Tensor whole = losses.contiguous();
  const double* const loss = whole.const_data_ptr<double>();
  quantiles_.add(whole);  // first, as it refuses what is not finite
  for (std::int64_t i = 0; i < whole.numel(); ++i) {
    sum_ += loss[i];
    highest_ = std::max(highest_, loss[i]);
    worst_.add(loss[i], {rows_ + i, loss[i], 0});
  }
  rows_ += whole.numel();
}

LossSpread LossCollector::result(double unit) const {
  const double scale_by = unit > 0 ? unit : 1;
  LossSpread spread;
  spread.rows = rows_;
  spread.mean = rows_ > 0 ? sum_ / static_cast<double>(rows_) / scale_by : 0;
  for (const double share : kShares) {
    spread.quantiles.emplace_back(share, std::min(quantiles_.at(share), highest_) / scale_by);
  }
  spread.highest = highest_ / scale_by;
  spread.tail = sum_ > 0 ? std::min(1.0, quantiles_.sum_of_highest(kTail) / sum_) : 0;
  spread.worst = worst_.rows();
  scale(spread.worst, scale_by);
  return spread;
}

void LossPairCollector::Moments::add(const at::Tensor& x, const at::Tensor& y) {
  const auto more = static_cast<double>(x.numel());
  if (more == 0) return;
  const double mean_of_x = ops::mean(x).item<double>();
  const double mean_of_y = ops::mean(y).item<double>();
  const at::Tensor from_x = x - mean_of_x;
  const at::Tensor from_y = y - mean_of_y;
  const double shift_x = mean_of_x - mean_x;
  const double shift_y = mean_of_y - mean_y;
  const double weight = count * more / (count + more);
  xx += ops::total(from_x.square()).item<double>() + shift_x * shift_x * weight;
  yy += ops::total(from_y.square()).item<double>() + shift_y * shift_y * weight;
  xy += ops::total(from_x * from_y).item<double>() + shift_x * shift_y * weight;
  mean_x += shift_x * more / (count + more);
  mean_y += shift_y * more / (count + more);
  count += more;
}

std::optional<double> LossPairCollector::Moments::correlation(double least_x, double least_y) const {
  const double size = std::sqrt(xx * yy);
  const bool varies = size > 0 && xx > count * least_x * least_x && yy > count * least_y * least_y;
  return varies ? std::optional(std::clamp(xy / size, -1.0, 1.0)) : std::nullopt;
}

void LossPairCollector::add(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor whole_a = a.contiguous();
  const at::Tensor whole_b = b.contiguous();
  const double* const of_a = whole_a.const_data_ptr<double>();
  const double* const of_b = whole_b.const_data_ptr<double>();
  a_.add(whole_a);
  b_.add(whole_b);
  for (std::int64_t i = 0; i < whole_a.numel(); ++i) {
    const double above = of_a[i] - of_b[i];
    if (above < 0) ++a_lower_;
    if (above > 0) a_worse_.add(above, {rows_ + i, of_a[i], of_b[i]});
    if (above < 0) b_worse_.add(-above, {rows_ + i, of_b[i], of_a[i]});
  }
  plain_.add(whole_a, whole_b);
  logarithms_.add(whole_a.clamp_min(kLowest).log(), whole_b.clamp_min(kLowest).log());
  rows_ += whole_a.numel();
}

LossComparison LossPairCollector::result(double unit) const {
  LossComparison result;
  result.a = a_.result(unit);
  result.b = b_.result(unit);
  result.correlation = plain_.correlation(kVaries * plain_.mean_x, kVaries * plain_.mean_y);
  result.log_correlation = logarithms_.correlation(kVaries, kVaries);
  result.a_better = rows_ > 0 ? static_cast<double>(a_lower_) / static_cast<double>(rows_) : 0;
  result.a_worse = a_worse_.rows();
  result.b_worse = b_worse_.rows();
  scale(result.a_worse, unit > 0 ? unit : 1);
  scale(result.b_worse, unit > 0 ? unit : 1);
  return result;
}

nlohmann::json to_json(const LossSpread& spread) {
  nlohmann::json quantiles = nlohmann::json::array();
  for (const auto& [share, loss] : spread.quantiles) quantiles.push_back({{"share", share}, {"loss", loss}});
  return {{"rows", spread.rows},
          {"mean", spread.mean},
          {"quantiles", quantiles},
          {"highest", spread.highest},
          {"worst_hundredth_share", spread.tail},
          {"worst", rows_json(spread.worst, "loss", nullptr)}};
}

nlohmann::json to_json(const LossComparison& comparison) {
  return {{"a", to_json(comparison.a)},
          {"b", to_json(comparison.b)},
          {"correlation", number_json(comparison.correlation)},
          {"log_correlation", number_json(comparison.log_correlation)},
          {"a_better_share", comparison.a_better},
          {"a_worse", rows_json(comparison.a_worse, "a", "b")},
          {"b_worse", rows_json(comparison.b_worse, "b", "a")}};
}

}  // namespace regulon::core
