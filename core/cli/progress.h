#pragma once
/// What a person sees while a run trains: one line that is rewritten on a terminal, plain lines elsewhere.

#include "core/train/report.h"

#include <chrono>
#include <cstdint>
#include <string>

namespace regulon::cli {

/// Prints reports to standard error.
class Progress {
 public:
  /// `label` starts every line.
  explicit Progress(std::string label);
  /// Ends the rewritten line, so that what follows starts on its own.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(const core::Report& report);

 private:
  std::string label_;
  bool terminal_;
  bool line_open_ = false;
  std::chrono::steady_clock::time_point shown_at_;
};

/// "step 1200/2000  412k rows/s  3 s left  FVU 0.0161  L0 1.80  dead 0.0%  mse 0.1 …"
std::string progress_line(const core::Report& report);
/// Seconds as "42 s", "3 min 05 s", "2 h 10 min".
std::string duration_text(double seconds);

}  // namespace regulon::cli
