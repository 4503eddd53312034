#pragma once
/// A measure over repeated runs, and how two points differ in it.

#include <cstdint>
#include <optional>
#include <span>

namespace regulon::core {

/// Over the seeds of one point.
struct Spread {
  std::int64_t n = 0;
  double mean = 0;
  std::optional<double> std;  ///< of the sample, divided by n - 1; none for a single run
  double min = 0;
  double max = 0;
};

/// The spread of `values`, at least one.
Spread spread_of(std::span<const double> values);

/// A point minus the base point, seed by seed.
struct Difference {
  std::int64_t n = 0;  ///< seeds that both have
  double mean = 0;
  std::optional<double> low;   ///< of the interval; none for a single pair
  std::optional<double> high;  ///< the same
};

/// Fewer pairs than this do not show how the differences are distributed, which the interval relies on.
inline constexpr std::int64_t kEnoughPairs = 5;

/// What a difference's interval says.
enum class Verdict {
  open,  ///< it holds zero, or there is none: no difference seen
  hint,  ///< it leaves zero out, but rests on fewer than `kEnoughPairs` pairs
  clear  ///< it leaves zero out
};
Verdict verdict_of(const Difference& difference);

/// How often the interval holds the true difference, at least, where differences are normal.
inline constexpr double kConfidence = 0.95;
inline constexpr std::int64_t kResamples = 10'000;

/// The 97.5% quantile of Student's t with `freedom` >= 1 degrees of freedom, to three digits or better: the
/// half width of a 95% interval in standard errors.
double student_quantile(std::int64_t freedom);

/// The mean of paired `differences` (at least one) and its interval: of `kResamples` means of as many
/// differences drawn with replacement, the percentile bootstrap (Efron 1979). By itself that is too narrow
/// for few seeds (it holds the true difference in 50% of all cases for two, 82% for five), because it takes
/// the sample's variance for the true one and the normal distribution for Student's. So both its sides are
/// stretched by what turns one into the other, sqrt(n / (n - 1)) t / z; and each reaches at least as far as
/// Student's interval, because two or three values have too few resamples to have tails. The same differences
/// give the same interval.
Difference difference_of(std::span<const double> differences);

}  // namespace regulon::core
