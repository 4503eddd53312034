#pragma once
/// The next batch, made while the step runs where there is a core for it.

#include <ATen/core/Tensor.h>

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>

#include "core/data/source.h"

namespace regulon::core {

/// Hands out batch(first_step), batch(first_step + 1), … of a source. Same rows, same bits, same order as
/// without it. While it lives, the source's batch() belongs to it; held_out() may be called beside it.
class Prefetcher {
 public:
  enum class Making {
    ahead,  ///< by a thread of its own, while the batch before is in use
    /// in `next`, on the step's threads: where these keep every core busy, a further one makes all of them
    /// wait for the core that it takes. The system still reads files ahead.
    when_asked
  };

  Prefetcher(Source& source, std::int64_t first_step, Making making = Making::ahead);
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;
  /// Waits for a batch that is being made ahead, and drops it.
  ~Prefetcher();

  /// The batch of the next step. Throws here what the source threw for this step; a later call asks again.
  at::Tensor next();

 private:
  void work(const std::stop_token& stop);

  Source& source_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::int64_t step_;   // the step being made, or made and not fetched
  bool ready_ = false;  // `batch_` or `error_` is that step's
  at::Tensor batch_;
  std::exception_ptr error_;
  std::jthread worker_;  // last: starts when all else is there, ends before it goes
};

}  // namespace regulon::core
