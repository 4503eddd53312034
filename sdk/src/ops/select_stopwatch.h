#pragma once
/// Measures the parts of select_product.

#include <regulon/selection.h>

#include <atomic>
#include <chrono>
#include <cstdint>

namespace regulon::ops::detail {

/// Adds what passes while it lives to one of the times; does nothing if there are none.
class SelectStopwatch {
 public:
  /// `threads`: that work meanwhile, where not each of them has a stopwatch of its own.
  SelectStopwatch(SelectTimes* times, std::atomic<std::int64_t> SelectTimes::*part, std::int64_t threads = 1)
      : times_(times), part_(part), threads_(threads) {
    if (times_ != nullptr) began_ = std::chrono::steady_clock::now();
  }
  ~SelectStopwatch() {
    if (times_ == nullptr) return;
    const auto passed = std::chrono::steady_clock::now() - began_;
    times_->*part_ += threads_ * std::chrono::duration_cast<std::chrono::nanoseconds>(passed).count();
  }
  SelectStopwatch(const SelectStopwatch&) = delete;
  SelectStopwatch& operator=(const SelectStopwatch&) = delete;

 private:
  SelectTimes* times_;
  std::atomic<std::int64_t> SelectTimes::*part_;
  std::int64_t threads_;
  std::chrono::steady_clock::time_point began_;
};

}  // namespace regulon::ops::detail
