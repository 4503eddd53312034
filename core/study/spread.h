#pragma once
/// A measure over repeated runs, and how two points differ in it.

#include <cstdint>
#include <span>

namespace regulon::core {

/// Over the seeds of one point.
struct Spread {
  std::int64_t n = 0;
  double mean = 0;
  double std = 0;  ///< of the sample, divided by n - 1; 0 for a single run
  double min = 0;
  double max = 0;
};

/// The spread of `values`, at least one.
Spread spread_of(std::span<const double> values);

/// A point minus the base point, seed by seed.
struct Difference {
  std::int64_t n = 0;  ///< seeds that both have
  double mean = 0;
  double low = 0;   ///< of the interval
  double high = 0;  ///< of the interval
};

/// Share of resampled means that lie within the interval.
inline constexpr double kConfidence = 0.95;
inline constexpr std::int64_t kResamples = 10'000;

/// The mean of paired `differences` (at least one) and its percentile bootstrap interval: `kResamples` means
/// of as many differences drawn with replacement (Efron 1979). The same differences give the same interval.
Difference difference_of(std::span<const double> differences);

}  // namespace regulon::core
