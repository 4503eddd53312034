#include "core/io/mapped_file.h"

#include <fcntl.h>
#include <regulon/error.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "core/io/descriptor.h"

namespace regulon::core {
namespace {

/// The kernel maps this much around a touched byte of a file, so as much has to be dropped around it.
constexpr std::size_t kFaultWindow = 64 * 1024;

[[noreturn]] void refuse(const std::filesystem::path& path, int error) {
  Problem problem;
  problem.where = path.string();
  problem.what = "cannot be read";
  problem.expected = "a readable file";
  problem.found = std::generic_category().message(error);
  if (error == ENOENT || error == ENOTDIR)
    problem.hint = "Check the path: relative ones start at the config file.";
  if (error == EACCES || error == EPERM) problem.hint = "Give yourself the right to read it (chmod u+r).";
  throw InputError(std::move(problem));
}

}  // namespace

MappedFile::MappedFile(std::filesystem::path path) : path_(std::move(path)) {
  // O_NONBLOCK: opening a pipe must not wait for a writer; it is refused below.
  const Descriptor descriptor{::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  struct stat status = {};
  if (descriptor.value < 0 || ::fstat(descriptor.value, &status) != 0) refuse(path_, errno);
  if (S_ISDIR(status.st_mode)) {
    throw InputError({path_.string(), "is a folder", "a file", "a folder",
                      "Name the files in it, as FOLDER/*.safetensors."});
  }
  if (!S_ISREG(status.st_mode)) {
    throw InputError({path_.string(), "is not a plain file", "a file on disk", "a device, pipe or socket",
                      "Copy the data to a file first."});
  }
  if (status.st_size == 0) {
    throw InputError(
        {path_.string(), "is empty", "a file with contents", "0 bytes", "Write or copy it again."});
  }
  size_ = static_cast<std::size_t>(status.st_size);
  void* const memory = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, descriptor.value, 0);
  if (memory == MAP_FAILED) refuse(path_, errno);
  data_ = static_cast<std::byte*>(memory);
}

MappedFile::~MappedFile() { ::munmap(data_, size_); }

void MappedFile::will_need(std::size_t offset, std::size_t count) const {
  advise(offset, count, MADV_WILLNEED);
}

void MappedFile::drop(std::size_t offset, std::size_t count) const { advise(offset, count, MADV_DONTNEED); }

void MappedFile::advise(std::size_t offset, std::size_t count, int advice) const {
  const std::size_t begin = std::min(offset, size_) / kFaultWindow * kFaultWindow;
  const std::size_t wanted = count < size_ - std::min(offset, size_) ? offset + count : size_;
  const std::size_t end = std::min(size_, (wanted + kFaultWindow - 1) / kFaultWindow * kFaultWindow);
  // The result is left unread: this changes speed and memory, never what is read.
  if (begin < end) static_cast<void>(::madvise(data_ + begin, end - begin, advice));
}

}  // namespace regulon::core
