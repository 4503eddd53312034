#pragma once
/// Memory for the large arrays of a step, which the next step makes again.

#include <c10/core/Allocator.h>

#include <cstddef>

namespace regulon::core {

/// Allocates as LibTorch does, but arrays of `kLarge` bytes and above stay with the process when they are
/// freed, for the next that takes at least a quarter of one. New pages cost a fault each, several
/// milliseconds for a gradient. A heap that never shrinks spares the faults, too, but small things that stay
/// between large ones split it, until a peak needs some hundred MiB more than is in use.
///
/// Arrays in use and kept ones are never more together than were in use at once: before new ones are made,
/// kept ones go back to the system, the smallest first. All objects of this class share one store, since
/// LibTorch wants a deleter that knows nothing but an address. Safe to call from several threads.
class KeptArrays final : public c10::Allocator {
 public:
  static constexpr std::size_t kLarge = std::size_t{8} << 20;

  /// Throws as LibTorch's allocator does if there is not enough memory.
  c10::DataPtr allocate(std::size_t bytes) override;
  c10::DeleterFnPtr raw_deleter() const override;
  void copy_data(void* to, const void* from, std::size_t bytes) const override;

  /// Bytes that are kept and in no use.
  std::size_t kept() const;
  /// Gives them back to the system.
  void give_back();
};

/// From now on the tensors of this process come from KeptArrays. What else it frees stays with it up to 1
/// GiB.
void keep_memory();

}  // namespace regulon::core
