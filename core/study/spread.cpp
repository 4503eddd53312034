#include "core/study/spread.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/data/random_stream.h"

namespace regulon::core {
namespace {

constexpr std::uint64_t kBootstrapSeed = 0x5265'6775'6c6f'6e21;

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

Difference difference_of(std::span<const double> differences) {
  RandomStream random(kBootstrapSeed);
  std::vector<double> means;
  means.reserve(kResamples);
  for (std::int64_t i = 0; i < kResamples; ++i) {
    double sum = 0;
    for (std::size_t k = 0; k < differences.size(); ++k) sum += differences[random.below(differences.size())];
    means.push_back(sum / static_cast<double>(differences.size()));
  }
  std::sort(means.begin(), means.end());
  constexpr double kTail = (1 - kConfidence) / 2;
  return {static_cast<std::int64_t>(differences.size()), mean_of(differences), quantile(means, kTail),
          quantile(means, 1 - kTail)};
}

}  // namespace regulon::core
