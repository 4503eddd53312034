#include "core/cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace regulon::cli {
namespace {

constexpr auto kBetweenRewrites = std::chrono::milliseconds(100);

std::string rate_text(double rows_per_second) {
  if (rows_per_second >= 1e6) return fmt::format("{:.2f}M", rows_per_second / 1e6);
  if (rows_per_second >= 1e3) return fmt::format("{:.0f}k", rows_per_second / 1e3);
  return fmt::format("{:.0f}", rows_per_second);
}

}  // namespace

std::string duration_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
}

std::string progress_line(const core::Report& report) {
  const auto taken = static_cast<double>(report.step - report.first_step);
  const auto to_take = static_cast<double>(report.steps - report.step);
  // Time left from the pace of this process since it began, not from the last interval, which jumps.
  const double left = taken > 0 ? report.seconds * to_take / taken : 0;
  std::string line = fmt::format("step {}/{}  {} rows/s  {} left  FVU {:.4f}  L0 {:.2f}  dead {:.1f}%",
                                 report.step, report.steps, rate_text(report.rows_per_second),
                                 duration_text(left), report.fvu, report.l0, 100 * report.dead_share);
  for (const auto& term : report.terms) {
    if (term.ran) line += fmt::format("  {} {:.4g}", term.name, term.value);
  }
  return line;
}

Progress::Progress(std::string label) : label_(std::move(label)), terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (line_open_) std::fputc('\n', stderr);
}

void Progress::show(const core::Report& report) {
  if (!terminal_) {
    fmt::print(stderr, "{}  {}\n", label_, progress_line(report));
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  if (line_open_ && now - shown_at_ < kBetweenRewrites && report.step < report.steps) return;
  shown_at_ = now;
  line_open_ = true;
  fmt::print(stderr, "\r\033[K{}  {}", label_, progress_line(report));
  std::fflush(stderr);
}

}  // namespace regulon::cli
