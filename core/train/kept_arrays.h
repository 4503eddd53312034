#pragma once
/// Memory for the large arrays of a step, which the next step makes again.

#include <c10/core/Allocator.h>

#include <cstddef>
#include <memory>

namespace regulon::core {

/// Allocates as LibTorch does, but arrays of `kLarge` bytes and above stay with the process when they are
/// freed, for the next one that takes at least half of one. New pages cost a fault each, several
/// milliseconds for a gradient. A heap that never shrinks spares the faults, too, but small things that stay
/// between large ones split it, until a peak needs some hundred MiB more than it uses.
///
/// Where no freed array fits, those that are smaller than the one asked for go back to the system first. Safe
/// to call from several threads; arrays may outlive the allocator.
class KeptArrays final : public c10::Allocator {
 public:
  static constexpr std::size_t kLarge = std::size_t{8} << 20;

  KeptArrays();
  ~KeptArrays() override;

  /// Throws as LibTorch's allocator does if there is not enough memory.
  c10::DataPtr allocate(std::size_t bytes) override;
  void copy_data(void* to, const void* from, std::size_t bytes) const override;

  /// Bytes that are kept and in no use.
  std::size_t kept() const;

 private:
  class Free;
  std::shared_ptr<Free> free_;
};

/// From now on the tensors of this process come from KeptArrays, and all smaller memory stays with it, too.
void keep_memory();

}  // namespace regulon::core
