#include "core/report/words.h"

#include <fmt/format.h>

#include <cmath>
#include <span>

namespace regulon::core::report {
namespace {

constexpr std::size_t kLeastOfPart = 3;  ///< values in a fifth, to say anything of their scatter
constexpr double kWorthTelling = 0.005;

struct MeanAndError {
  double mean = 0;
  double squared_error = 0;  ///< of the mean
};

MeanAndError mean_and_error(std::span<const double> values) {
  const auto n = static_cast<double>(values.size());
  MeanAndError result;
  for (const double value : values) result.mean += value / n;
  for (const double value : values) result.squared_error += (value - result.mean) * (value - result.mean);
  result.squared_error /= n * (n - 1);
  return result;
}

}  // namespace

std::string number_text(double value) {
  if (!std::isfinite(value)) return "-";
  const double size = std::abs(value);
  if (size >= 1000 && size < 1e7) return fmt::format("{:.0f}", value);
  return fmt::format("{:.4g}", value);
}

std::string signed_text(double value) {
  const std::string text = number_text(value);
  return value > 0 ? "+" + text : text;
}

std::string share_text(double share) {
  if (!std::isfinite(share)) return "-";
  const double percent = 100 * share;
  if (percent != 0 && std::abs(percent) < 0.1) return fmt::format("{:.2g}%", percent);
  return fmt::format("{:.{}f}%", percent, std::abs(percent) >= 100 || percent == 0 ? 0 : 1);
}

std::string count_text(std::size_t count, const std::string& noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string time_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  if (seconds < 10) return fmt::format("{:.1f} s", seconds);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

Trend trend_of(const std::vector<double>& values) {
  const std::size_t fifth = values.size() / 5;
  if (fifth < kLeastOfPart) return {};
  const std::span<const double> all(values);
  const MeanAndError last = mean_and_error(all.last(fifth));
  const MeanAndError before = mean_and_error(all.subspan(values.size() - 2 * fifth, fifth));
  if (before.mean == 0) return {};
  Trend trend{Trend::Kind::level, (last.mean - before.mean) / std::abs(before.mean)};
  const double difference = last.mean - before.mean;
  const bool beyond_chance = std::abs(difference) > 2 * std::sqrt(last.squared_error + before.squared_error);
  if (beyond_chance && std::abs(trend.change) > kWorthTelling)
    trend.kind = difference < 0 ? Trend::Kind::falling : Trend::Kind::rising;
  return trend;
}

std::string trend_text(const Trend& trend) {
  if (trend.kind == Trend::Kind::unknown) return "too few reports to tell whether it still moves";
  if (trend.kind == Trend::Kind::level)
    return "no change seen between the last fifth of the reports and the fifth before";
  return fmt::format("still {} at the end ({}{} from the last fifth of the reports but one to the last)",
                     trend.kind == Trend::Kind::falling ? "falling" : "rising", trend.change > 0 ? "+" : "",
                     share_text(trend.change));
}

}  // namespace regulon::core::report
