#include "core/io/spool.h"

#include <ATen/ops/empty.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <regulon/error.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "core/io/atomic_file.h"
#include "core/io/mapped_file.h"
#include "core/io/mapped_tensor.h"

namespace regulon::core {

Spool::Spool(std::filesystem::path target) : target_(std::move(target)) {}

Spool::Spool(Spool&& other) noexcept
    : target_(std::move(other.target_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      bytes_(other.bytes_) {}

Spool::~Spool() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void Spool::open() {
  if (target_.has_parent_path()) make_folders(target_.parent_path());
  std::string name = target_.string() + ".partial-XXXXXX";
  descriptor_ = ::mkostemp(name.data(), O_CLOEXEC);
  if (descriptor_ < 0) fail_on_path(target_, "cannot be written", errno);
  if (::unlink(name.c_str()) != 0) fail_on_path(name, "cannot be removed", errno);
}

void Spool::write(const at::Tensor& tensor) {
  const at::Tensor whole = tensor.contiguous();
  if (whole.nbytes() == 0) return;
  if (descriptor_ < 0) open();
  const auto* const data = static_cast<const char*>(whole.const_data_ptr());
  for (std::size_t done = 0; done < whole.nbytes();) {
    const ssize_t written = ::write(descriptor_, data + done, whole.nbytes() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_on_path(target_, "cannot be written", errno);
    done += static_cast<std::size_t>(written);
  }
  bytes_ += whole.nbytes();
}

at::Tensor Spool::tensor(at::ScalarType dtype, std::int64_t count) const {
  const auto wanted = static_cast<std::size_t>(count) * at::elementSize(dtype);
  // The file has no name of its own; this is the system's name of the open one.
  const auto file = bytes_ == 0
                        ? nullptr
                        : std::make_shared<const MappedFile>("/proc/self/fd/" + std::to_string(descriptor_));
  const std::size_t found = file == nullptr ? 0 : file->size();
  if (found != wanted) {
    throw RunError({target_.string(), "cannot be written: what was kept for it on disk is not whole",
                    fmt::format("{} numbers, {} bytes", count, wanted), fmt::format("{} bytes", found),
                    "Check the disk, and do it again."});
  }
  if (file == nullptr) return at::empty({0}, dtype);
  return tensor_at(file, {target_.string(), dtype, {count}, 0, wanted});
}

}  // namespace regulon::core
