#include "core/cli/gap_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

namespace regulon::cli {
namespace {

std::string spread_text(const core::RowFigure& figure) {
  if (std::isnan(figure.mean)) return "-";
  return fmt::format("{:.4g} ±{:.2g}", figure.mean, figure.spread);
}

/// Pads by what is seen ("±" is one column and two bytes), by one space at least.
std::string padded_text(const std::string& text, std::size_t width) {
  std::size_t seen = 0;
  for (const char c : text) seen += (static_cast<unsigned char>(c) & 0xC0U) != 0x80U ? 1 : 0;
  return std::string(width > seen ? width - seen : 1, ' ') + text;
}

std::string solved_at(const core::GapMethod& method) {
  if (method.k > 0) return fmt::format("k {}", method.k);
  return method.lambda > 0 ? fmt::format("lambda {:.4g}", method.lambda) : "";
}

}  // namespace

void print_gap(const core::GapReport& report) {
  fmt::print("Amortisation gap over {} rows; objectives at lambda {:.5g}; mean ± spread over rows\n",
             report.rows, report.lambda);
  fmt::print("{:<18}{:>16}{:>16}{:>9}{:>16}{:>16}{:>16}{:>11}\n", "codes", "solved at", "objective", "FVU",
             "L0", "distance", "in common", "us a row");
  for (const core::GapMethod& method : report.methods) {
    fmt::print("{:<18}{}{}{:>9.4f}{}{}{}{:>11.1f}\n", method.name, padded_text(solved_at(method), 16),
               padded_text(spread_text(method.objective), 16), method.fvu,
               padded_text(spread_text(method.l0), 16), padded_text(spread_text(method.distance), 16),
               padded_text(spread_text(method.common), 16), method.seconds_per_row * 1e6);
  }
  if (report.methods.size() > 1) {
    fmt::print("Rows where the encoder is furthest above {}: {}\n", report.methods[1].name,
               fmt::join(report.worst, ", "));
  }
}

}  // namespace regulon::cli
