#include "core/io/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "core/io/atomic_file.h"

namespace regulon::core {
namespace {

int operation(FileLock::Kind kind) { return kind == FileLock::Kind::exclusive ? LOCK_EX : LOCK_SH; }

}  // namespace

FileLock::FileLock(const std::filesystem::path& file)
    : descriptor_(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
  if (descriptor_ < 0) fail_on_path(file, "cannot be opened", errno);
}

std::optional<FileLock> FileLock::try_take(const std::filesystem::path& file, Kind kind) {
  FileLock lock(file);
  if (::flock(lock.descriptor_, operation(kind) | LOCK_NB) == 0) return lock;
  if (errno != EWOULDBLOCK) fail_on_path(file, "cannot be locked", errno);
  return std::nullopt;
}

FileLock FileLock::take(const std::filesystem::path& file, Kind kind) {
  FileLock lock(file);
  while (::flock(lock.descriptor_, operation(kind)) != 0) {
    if (errno != EINTR) fail_on_path(file, "cannot be locked", errno);
  }
  return lock;
}

FileLock::FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace regulon::core
