#include "core/study/spread.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <vector>

#include "core/data/random_stream.h"

namespace regulon::core {
namespace {

constexpr std::uint64_t kBootstrapSeed = 0x5265'6775'6c6f'6e21;
constexpr double kTail = (1 - kConfidence) / 2;
constexpr double kNormalQuantile = 1.959963984540054;  ///< of 1 - kTail

double mean_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// The value below which a share of `sorted` lies, between neighbours in proportion.
double quantile(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

/// Sorted means of as many of `values` drawn with replacement.
std::vector<double> resampled_means(std::span<const double> values) {
  RandomStream random(kBootstrapSeed);
  std::vector<double> means;
  means.reserve(kResamples);
  for (std::int64_t i = 0; i < kResamples; ++i) {
    double sum = 0;
    for (std::size_t k = 0; k < values.size(); ++k) sum += values[random.below(values.size())];
    means.push_back(sum / static_cast<double>(values.size()));
  }
  std::sort(means.begin(), means.end());
  return means;
}

}  // namespace

Spread spread_of(std::span<const double> values) {
  Spread spread;
  spread.n = static_cast<std::int64_t>(values.size());
  spread.mean = mean_of(values);
  double squares = 0;
  for (const double value : values) squares += (value - spread.mean) * (value - spread.mean);
  if (spread.n > 1) spread.std = std::sqrt(squares / static_cast<double>(spread.n - 1));
  spread.min = *std::min_element(values.begin(), values.end());
  spread.max = *std::max_element(values.begin(), values.end());
  return spread;
}

Verdict verdict_of(const Difference& difference) {
  if (!difference.low || !difference.high) return Verdict::open;
  if (*difference.low <= 0 && *difference.high >= 0) return Verdict::open;
  return difference.n >= kEnoughPairs ? Verdict::clear : Verdict::hint;
}

double student_quantile(std::int64_t freedom) {
  constexpr double kShare = 1 - kTail;
  if (freedom == 1) return std::tan(std::numbers::pi * (kShare - 0.5));
  if (freedom == 2) return (2 * kShare - 1) / std::sqrt(2 * kShare * kTail);
  // Abramowitz and Stegun 26.7.5.
  constexpr double z = kNormalQuantile;
  constexpr double z2 = z * z;
  const double v = static_cast<double>(freedom);
  const double first = (z2 + 1) / 4;
  const double second = ((5 * z2 + 16) * z2 + 3) / 96;
  const double third = (((3 * z2 + 19) * z2 + 17) * z2 - 15) / 384;
  const double fourth = ((((79 * z2 + 776) * z2 + 1482) * z2 - 1920) * z2 - 945) / 92160;
  return z * (1 + (first + (second + (third + fourth / v) / v) / v) / v);
}

Difference difference_of(std::span<const double> differences) {
  const Spread spread = spread_of(differences);
  Difference difference{spread.n, spread.mean, std::nullopt, std::nullopt};
  if (!spread.std) return difference;
  const std::vector<double> means = resampled_means(differences);
  const auto n = static_cast<double>(spread.n);
  const double t = student_quantile(spread.n - 1);
  const double stretch = std::sqrt(n / (n - 1)) * t / kNormalQuantile;
  const double student = t * *spread.std / std::sqrt(n);
  difference.low = spread.mean - std::max(student, stretch * (spread.mean - quantile(means, kTail)));
  difference.high = spread.mean + std::max(student, stretch * (quantile(means, 1 - kTail) - spread.mean));
  return difference;
}

}  // namespace regulon::core
