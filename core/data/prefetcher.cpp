#include "core/data/prefetcher.h"

#include <ATen/Parallel.h>
#include <omp.h>

#include <utility>

namespace regulon::core {

Prefetcher::Prefetcher(Source& source, std::int64_t first_step, Making making)
    : source_(source), step_(first_step) {
  if (making == Making::ahead) worker_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
}

Prefetcher::~Prefetcher() = default;

at::Tensor Prefetcher::next() {
  if (!worker_.joinable()) {  // made when asked
    at::Tensor batch = source_.batch(step_);
    ++step_;
    return batch;
  }
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return ready_; });
  ready_ = false;
  const std::exception_ptr error = std::exchange(error_, nullptr);
  if (!error) ++step_;
  at::Tensor batch = std::move(batch_);
  lock.unlock();
  changed_.notify_all();
  if (error) std::rethrow_exception(error);
  return batch;
}

void Prefetcher::work(const std::stop_token& stop) {
  // One thread is enough for this, and a second team of threads would get in the way of the step's own. ATen
  // sets a thread's count on first use: let it do so first.
  at::init_num_threads();
  omp_set_num_threads(1);
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, stop, [&] { return !ready_; })) {
    const std::int64_t step = step_;
    lock.unlock();
    at::Tensor batch;
    std::exception_ptr error;
    try {
      batch = source_.batch(step);
    } catch (...) {
      error = std::current_exception();  // rethrown by next()
    }
    lock.lock();
    batch_ = std::move(batch);
    error_ = std::move(error);
    ready_ = true;
    changed_.notify_all();
    if (stop.stop_requested()) return;
  }
}

}  // namespace regulon::core
