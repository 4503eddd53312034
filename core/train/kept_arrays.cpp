#include "core/train/kept_arrays.h"

#include <c10/core/CPUAllocator.h>
#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace regulon::core {
namespace {

constexpr int kKeepFree = 1 << 30;        ///< bytes of free heap that stay with the process
constexpr std::size_t kRoundTo = 4096;    ///< sizes, so that nearly equal arrays can take each other's place
constexpr std::size_t kLargestWaste = 4;  ///< an array may be so many times what is asked for

/// Memory of the system's, on pages of its own.
class Pages {
 public:
  explicit Pages(std::size_t bytes)
      : bytes_(bytes),
        address_(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {}
  Pages(Pages&& other) noexcept : bytes_(other.bytes_), address_(std::exchange(other.address_, MAP_FAILED)) {}
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  Pages& operator=(Pages&&) = delete;
  ~Pages() {
    if (address_ != MAP_FAILED) munmap(address_, bytes_);
  }

  void* address() const { return address_ == MAP_FAILED ? nullptr : address_; }

 private:
  std::size_t bytes_;
  void* address_;
};

/// What is in use and what is kept. Arrays go from one to the other by their nodes, which allocates nothing:
/// a deleter must not throw.
class Store {
 public:
  /// Null if the system has no more.
  void* take(std::size_t asked) {
    const std::lock_guard guard(mutex_);
    const std::size_t bytes = (asked + kRoundTo - 1) / kRoundTo * kRoundTo;
    const auto fits = free_.lower_bound(bytes);
    if (fits != free_.end() && fits->first / kLargestWaste <= bytes) {
      kept_ -= fits->first;
      return use(free_.extract(fits));
    }
    while (!free_.empty() && in_use_ + kept_ + bytes > most_in_use_) drop_smallest();
    std::multimap<std::size_t, Pages> made;
    made.emplace(bytes, Pages(bytes));
    return made.begin()->second.address() == nullptr ? nullptr : use(made.extract(made.begin()));
  }

  /// False if `address` is none of its own.
  bool release(void* address) {
    const std::lock_guard guard(mutex_);
    const auto found = used_.find(address);
    if (found == used_.end()) return false;
    Node node = std::move(found->second);
    used_.erase(found);
    in_use_ -= node.key();
    kept_ += node.key();
    free_.insert(std::move(node));
    return true;
  }

  std::size_t kept() const {
    const std::lock_guard guard(mutex_);
    return kept_;
  }

  void give_back() {
    const std::lock_guard guard(mutex_);
    while (!free_.empty()) drop_smallest();
  }

 private:
  using Node = std::multimap<std::size_t, Pages>::node_type;

  void* use(Node node) {
    void* const address = node.mapped().address();
    const std::size_t bytes = node.key();
    used_.emplace(address, std::move(node));
    in_use_ += bytes;
    most_in_use_ = std::max(most_in_use_, in_use_);
    return address;
  }

  void drop_smallest() {
    kept_ -= free_.begin()->first;
    free_.erase(free_.begin());
  }

  mutable std::mutex mutex_;
  std::multimap<std::size_t, Pages> free_;  ///< by size
  std::unordered_map<void*, Node> used_;
  std::size_t kept_ = 0;
  std::size_t in_use_ = 0;
  std::size_t most_in_use_ = 0;
};

/// Never destroyed: tensors of other static objects may be freed after it would be.
Store& store() {
  static auto& only = *new Store;
  return only;
}

void release(void* address) {
  if (!store().release(address)) c10::GetDefaultCPUAllocator()->raw_deleter()(address);
}

}  // namespace

c10::DataPtr KeptArrays::allocate(std::size_t bytes) {
  void* const address = bytes < kLarge ? nullptr : store().take(bytes);
  // Where the system has no more, LibTorch's own says so.
  if (address == nullptr) return c10::GetDefaultCPUAllocator()->allocate(bytes);
  return {address, address, &release, at::kCPU};
}

c10::DeleterFnPtr KeptArrays::raw_deleter() const { return &release; }

void KeptArrays::copy_data(void* to, const void* from, std::size_t bytes) const {
  default_copy_data(to, from, bytes);
}

std::size_t KeptArrays::kept() const { return store().kept(); }

void KeptArrays::give_back() { store().give_back(); }

void keep_memory() {
  static auto& arrays = *new KeptArrays;  // LibTorch keeps its address to the end
  c10::SetCPUAllocator(&arrays);
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, kKeepFree);
}

}  // namespace regulon::core
