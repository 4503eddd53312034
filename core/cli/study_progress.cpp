#include "core/cli/study_progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "core/cli/progress.h"

namespace regulon::cli {
namespace {

/// Where lines cannot be rewritten, runs under way are told of this often.
constexpr auto kBetweenPlainLines = std::chrono::seconds(30);

/// What cannot be seen cannot be rewritten: more runs than this at a time are not all shown.
constexpr std::size_t kMostLines = 16;

std::size_t terminal_width() {
  winsize size = {};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

std::string active_line(const core::ActiveRun& active) {
  const std::int64_t steps = active.run->config.run.steps;
  if (active.step == 0) return fmt::format("{}  starting", active.run->name);
  return fmt::format("{}  step {}/{}  FVU {:.4f}  L0 {:.2f}  dead {:.1f}%  {:.0f}k rows/s", active.run->name,
                     active.step, steps, active.fvu, active.l0, 100 * active.dead_share,
                     active.rows_per_second / 1000);
}

/// What is left to do of a run, in runs.
double share_left(const core::ActiveRun& active) {
  return 1 - static_cast<double>(active.step) / static_cast<double>(active.run->config.run.steps);
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

StudyProgress::StudyProgress(std::string study, std::int64_t jobs)
    : study_(std::move(study)),
      jobs_(jobs),
      terminal_(isatty(STDERR_FILENO) == 1),
      said_at_(std::chrono::steady_clock::now()) {}

StudyProgress::~StudyProgress() { erase_block(); }

void StudyProgress::begin(std::int64_t runs, std::int64_t done) {
  runs_ = runs;
  done_ = done;
  say(fmt::format("{}: {} runs, {} of them done already", study_, runs, done));
}

void StudyProgress::start(const core::PlannedRun& run, bool resumes) {
  if (!terminal_) say(fmt::format("{}  {}", resumes ? "goes on " : "starts  ", run.name));
}

void StudyProgress::end(const core::PlannedRun& run, const core::RunEnd& end) {
  if (end.stopped) {
    say(fmt::format("stopped   {}", run.name));
    return;
  }
  ++ended_here_;
  seconds_here_ += end.seconds;
  ++(end.error.empty() ? done_ : failed_);
  if (!end.error.empty()) {
    say(fmt::format("FAILED    {}: {}", run.name, first_line(end.error)));
    return;
  }
  std::string line = fmt::format("done      {}  {}", run.name, duration_text(end.seconds));
  for (const auto& [name, title] : {std::pair("fvu", "FVU"), std::pair("l0", "L0")}) {
    const auto measure = end.measures.find(name);
    if (measure != end.measures.end()) line += fmt::format("  {} {:.4g}", title, measure->second);
  }
  say(line + (terminal_ ? "" : fmt::format("  ({})", head_line({}))));
}

void StudyProgress::progress(const std::vector<core::ActiveRun>& active) {
  if (terminal_) {
    draw_block(active);
    return;
  }
  if (std::chrono::steady_clock::now() - said_at_ < kBetweenPlainLines) return;
  for (const auto& run : active) say("running   " + active_line(run));
}

void StudyProgress::say(const std::string& line) {
  erase_block();
  fmt::print(stderr, "{}\n", line);
  said_at_ = std::chrono::steady_clock::now();
}

void StudyProgress::erase_block() {
  if (block_ > 0) fmt::print(stderr, "\033[{}A\r\033[J", block_);
  block_ = 0;
}

void StudyProgress::draw_block(const std::vector<core::ActiveRun>& active) {
  erase_block();
  const std::size_t width = terminal_width();
  fmt::print(stderr, "{}\n", head_line(active).substr(0, width));
  const std::size_t shown = std::min(active.size(), kMostLines);
  for (std::size_t i = 0; i < shown; ++i) {
    fmt::print(stderr, "{}\n", ("  " + active_line(active[i])).substr(0, width));
  }
  block_ = shown + 1;
  std::fflush(stderr);
}

std::string StudyProgress::head_line(const std::vector<core::ActiveRun>& active) const {
  std::string line = fmt::format("{}/{} done", done_, runs_);
  if (failed_ > 0) line += fmt::format(", {} failed", failed_);
  const double left = seconds_left(active);
  if (left > 0) line += fmt::format(", about {} left", duration_text(left));
  return line;
}

double StudyProgress::seconds_left(const std::vector<core::ActiveRun>& active) const {
  double seconds = seconds_here_;
  auto runs = static_cast<double>(ended_here_);
  auto left = static_cast<double>(runs_ - done_ - failed_) - static_cast<double>(active.size());
  for (const auto& run : active) {
    left += share_left(run);
    if (ended_here_ > 0) continue;
    seconds += run.seconds;
    runs += 1 - share_left(run);
  }
  return runs > 0 ? left * seconds / runs / static_cast<double>(jobs_) : 0;
}

}  // namespace regulon::cli
