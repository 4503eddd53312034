#pragma once
/// Numbers kept on disk until their count is known.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>

namespace regulon::core {

/// A file without a name on the disk of a target that is written later: two writers of one target do not meet
/// in it, and nothing of it is left behind, however the process ends. It is made by the first write.
class Spool {
 public:
  explicit Spool(std::filesystem::path target);
  Spool(Spool&& other) noexcept;
  Spool& operator=(Spool&&) = delete;
  ~Spool();

  /// Appends the elements of `tensor` in C order. Makes the target's folder where it is missing. Throws
  /// RunError, which names the target, if it cannot be written.
  void write(const at::Tensor& tensor);
  /// What was written as [count] elements of `dtype`: mapped, not read, and valid longer than the spool.
  /// Throws RunError if there are not as many.
  at::Tensor tensor(at::ScalarType dtype, std::int64_t count) const;

 private:
  void open();

  std::filesystem::path target_;
  int descriptor_ = -1;
  std::size_t bytes_ = 0;
};

}  // namespace regulon::core
