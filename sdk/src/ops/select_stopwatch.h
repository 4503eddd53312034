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
  SelectStopwatch(SelectTimes* times, std::atomic<std::int64_t> SelectTimes::*part)
      : times_(times), part_(part) {
    if (times_ != nullptr) began_ = std::chrono::steady_clock::now();
  }
  ~SelectStopwatch() {
    if (times_ == nullptr) return;
    const auto passed = std::chrono::steady_clock::now() - began_;
    times_->*part_ += std::chrono::duration_cast<std::chrono::nanoseconds>(passed).count();
  }
  SelectStopwatch(const SelectStopwatch&) = delete;
  SelectStopwatch& operator=(const SelectStopwatch&) = delete;

 private:
  SelectTimes* times_;
  std::atomic<std::int64_t> SelectTimes::*part_;
  std::chrono::steady_clock::time_point began_;
};

}  // namespace regulon::ops::detail
