#pragma once
/// Numbers and what they do, in words.

#include <cstdint>
#include <string>
#include <vector>

namespace regulon::core::report {

/// To four digits: "0.1626", "16384", "1.2e-7"; "-" for what is not finite.
std::string number_text(double value);
/// With its sign: "+0.0123".
std::string signed_text(double value);
/// A share as a percentage: "3.1%".
std::string share_text(double share);
/// A count with its noun: "1 run", "3 runs".
std::string count_text(std::size_t count, const std::string& noun);
/// "12 s", "3 min 20 s", "2 h 5 min".
std::string time_text(double seconds);

/// Whether values still move at their end.
struct Trend {
  enum class Kind { unknown, level, falling, rising } kind = Kind::unknown;
  double change =
      0;  ///< of the mean of the last fifth from that of the fifth before, as a share of the latter
};

/// Compares the last fifth of `values` with the fifth before: it moves if their means differ by more than two
/// standard errors and by more than half a percent. Unknown with fewer than 15 values or a mean of zero.
Trend trend_of(const std::vector<double>& values);

/// The trend as the end of a sentence: "still falling at the end (-3.1% from the last fifth but one to the
/// last fifth)".
std::string trend_text(const Trend& trend);

}  // namespace regulon::core::report
