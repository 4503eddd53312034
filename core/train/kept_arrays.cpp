#include "core/train/kept_arrays.h"

#include <c10/core/CPUAllocator.h>
#include <malloc.h>
#include <sys/mman.h>

#include <map>
#include <mutex>
#include <utility>

namespace regulon::core {
namespace {

constexpr int kKeepFree = 1 << 30;  ///< bytes of free heap that stay with the process
constexpr std::size_t kPage = 4096;

}  // namespace

/// What was freed, by size.
class KeptArrays::Free {
 public:
  /// Pages of the system's, all of their own.
  class Pages {
   public:
    explicit Pages(std::size_t bytes)
        : bytes_((bytes + kPage - 1) / kPage * kPage),
          address_(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {}
    Pages(Pages&& other) noexcept
        : bytes_(other.bytes_), address_(std::exchange(other.address_, MAP_FAILED)) {}
    Pages(const Pages&) = delete;
    Pages& operator=(const Pages&) = delete;
    Pages& operator=(Pages&&) = delete;
    ~Pages() {
      if (is_there()) munmap(address_, bytes_);
    }

    bool is_there() const { return address_ != MAP_FAILED; }
    void* address() const { return address_; }
    std::size_t bytes() const { return bytes_; }

   private:
    std::size_t bytes_;
    void* address_;
  };

  /// The smallest that holds `bytes` and is not more than twice as large, or new pages, which may not be
  /// there.
  Pages take(std::size_t bytes) {
    const std::lock_guard guard(mutex_);
    const auto fits = pages_.lower_bound(bytes);
    if (fits != pages_.end() && fits->first / 2 <= bytes) {
      Pages found = std::move(fits->second);
      pages_.erase(fits);
      return found;
    }
    pages_.erase(pages_.begin(), fits);
    Pages made(bytes);
    if (made.is_there() || pages_.empty()) return made;
    pages_.clear();
    return Pages(bytes);
  }

  void give(Pages pages) {
    const std::lock_guard guard(mutex_);
    const std::size_t bytes = pages.bytes();
    pages_.emplace(bytes, std::move(pages));
  }

  std::size_t bytes() const {
    const std::lock_guard guard(mutex_);
    std::size_t sum = 0;
    for (const auto& [bytes, pages] : pages_) sum += bytes;
    return sum;
  }

 private:
  mutable std::mutex mutex_;
  std::multimap<std::size_t, Pages> pages_;
};

KeptArrays::KeptArrays() : free_(std::make_shared<Free>()) {}
KeptArrays::~KeptArrays() = default;

c10::DataPtr KeptArrays::allocate(std::size_t bytes) {
  if (bytes < kLarge) return c10::GetDefaultCPUAllocator()->allocate(bytes);
  const auto pages = std::make_shared<Free::Pages>(free_->take(bytes));
  if (!pages->is_there()) return c10::GetDefaultCPUAllocator()->allocate(bytes);  // says what is missing
  return c10::InefficientStdFunctionContext::makeDataPtr(
      pages->address(), [pages, free = free_](void*) { free->give(std::move(*pages)); }, at::kCPU);
}

void KeptArrays::copy_data(void* to, const void* from, std::size_t bytes) const {
  default_copy_data(to, from, bytes);
}

std::size_t KeptArrays::kept() const { return free_->bytes(); }

void keep_memory() {
  static KeptArrays arrays;
  c10::SetCPUAllocator(&arrays);
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, kKeepFree);
}

}  // namespace regulon::core
