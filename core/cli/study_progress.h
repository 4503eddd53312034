#pragma once
/// What a person sees while a study works: a block of lines that is rewritten on a terminal, plain lines
/// elsewhere.

#include "core/study/run_study.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace regulon::cli {

/// Prints a study's events to standard error.
class StudyProgress {
 public:
  StudyProgress(std::string study, std::int64_t jobs);
  /// Takes the block of lines away.
  ~StudyProgress();
  StudyProgress(const StudyProgress&) = delete;
  StudyProgress& operator=(const StudyProgress&) = delete;

  void begin(std::int64_t runs, std::int64_t done);
  void start(const core::PlannedRun& run, bool resumes);
  void progress(const std::vector<core::ActiveRun>& active);
  void end(const core::PlannedRun& run, const core::RunEnd& end);

 private:
  void say(const std::string& line);
  void erase_block();
  void draw_block(const std::vector<core::ActiveRun>& active);
  std::string head_line(const std::vector<core::ActiveRun>& active) const;
  double seconds_left(const std::vector<core::ActiveRun>& active) const;

  std::string study_;
  std::int64_t jobs_;
  bool terminal_;
  std::int64_t runs_ = 0;
  std::int64_t done_ = 0;    ///< before and now
  std::int64_t failed_ = 0;  ///< now
  std::int64_t ended_here_ = 0;
  double seconds_here_ = 0;  ///< of the runs that ended here, together
  std::size_t block_ = 0;    ///< lines that stand to be rewritten
  std::chrono::steady_clock::time_point said_at_;
};

}  // namespace regulon::cli
