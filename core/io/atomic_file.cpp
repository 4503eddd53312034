#include "core/io/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <regulon/error.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "core/io/descriptor.h"

namespace regulon::core {
namespace {

constexpr int kMostPartials = 1000;

std::string advice(int error, const std::filesystem::path& folder) {
  const std::string place = folder.string();
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "Free space on the disk of " + place + ", or write to another one.";
    case EFBIG:
      return "Raise the limit on file sizes (ulimit -f), or write to another file system.";
    case EROFS:
      return "Its file system is mounted read-only: choose another folder.";
    case EACCES:
    case EPERM:
      return "Give yourself the right to write in " + place + ", or choose another folder.";
    case ENOENT:
      return "Make the folder " + place + " first.";
    case ENOTDIR:
      return "A part of the path is a file where a folder is needed: choose another path.";
    case EISDIR:
    case ENOTEMPTY:
    case EEXIST:
      return "Something else has that name: remove it or choose another path.";
    default:
      return "Check the disk, or choose another folder.";
  }
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
  const std::filesystem::path parent = path.parent_path();
  return parent.empty() ? std::filesystem::path(".") : parent;
}

std::filesystem::path without_trailing_slash(std::filesystem::path path) {
  return path.has_filename() ? path : path.parent_path();
}

std::filesystem::path partial_of(const std::filesystem::path& target) {
  std::filesystem::path partial = target;
  partial += ".partial";
  return partial;
}

/// Syncs a file or a folder; a file system that cannot sync folders (EINVAL) is taken as it is.
void sync_path(const std::filesystem::path& path) {
  const Descriptor descriptor{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (descriptor.value < 0) fail_on_path(path, "cannot be opened to be synced", errno);
  if (::fsync(descriptor.value) != 0 && errno != EINVAL) fail_on_path(path, "cannot be synced", errno);
}

/// Whether `descriptor` is the file that `path` names now.
bool names_same_file(int descriptor, const std::filesystem::path& path) {
  struct stat held = {};
  struct stat named = {};
  return ::fstat(descriptor, &held) == 0 && ::stat(path.c_str(), &named) == 0 &&
         held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

/// Opens `partial` for this process alone. The lock is checked against the name, because the holder before us
/// may have renamed the file that we had opened; it is emptied only after that.
int open_alone(const std::filesystem::path& target, const std::filesystem::path& partial) {
  while (true) {
    Descriptor descriptor{::open(partial.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666)};
    if (descriptor.value < 0) fail_on_path(target, "cannot be written", errno);
    if (::flock(descriptor.value, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      throw RunError({target.string(), "is being written by another process", "one writer at a time",
                      "a lock on " + partial.string(),
                      "Wait for the other process, or choose another folder."});
    }
    if (!names_same_file(descriptor.value, partial)) continue;
    if (::ftruncate(descriptor.value, 0) != 0) fail_on_path(target, "cannot be written", errno);
    return std::exchange(descriptor.value, -1);
  }
}

}  // namespace

void fail_on_path(const std::filesystem::path& path, const std::string& what, int error) {
  throw RunError(
      {path.string(), what, "", std::generic_category().message(error), advice(error, folder_of(path))});
}

void make_folders(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) fail_on_path(folder, "cannot be made", error.value());
}

AtomicFile::AtomicFile(std::filesystem::path target)
    : target_(std::move(target)), partial_(partial_of(target_)), descriptor_(open_alone(target_, partial_)) {}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  // Removed before the lock is let go, so that no other writer's file of this name can be hit.
  ::unlink(partial_.c_str());
  ::close(descriptor_);
}

void AtomicFile::fail(const std::string& what, int error) const { fail_on_path(target_, what, error); }

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("cannot be written", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void AtomicFile::write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) fail("cannot be synced", errno);
  if (::rename(partial_.c_str(), target_.c_str()) != 0) fail("cannot be put in place", errno);
  ::close(std::exchange(descriptor_, -1));
  sync_path(folder_of(target_));
}

void write_atomically(const std::filesystem::path& target, std::string_view contents) {
  AtomicFile file(target);
  file.write(contents);
  file.commit();
}

void require_absent(const std::filesystem::path& path) {
  if (path.empty()) {
    throw InputError(
        {"--out", "is empty", "a name that is not taken yet", "\"\"", "Name what is to be made."});
  }
  if (!std::filesystem::exists(std::filesystem::symlink_status(path))) return;
  throw InputError({path.string(), "exists already", "a name that is not taken yet", "something of that name",
                    "Choose another name, or remove it first."});
}

AtomicFolder::AtomicFolder(std::filesystem::path target)
    : target_(without_trailing_slash(std::move(target))) {
  require_absent(target_);
  if (target_.has_parent_path()) make_folders(target_.parent_path());
  for (int number = 0; number < kMostPartials; ++number) {
    partial_ = target_;
    partial_ += fmt::format(".partial-{}-{}", ::getpid(), number);
    if (::mkdir(partial_.c_str(), 0777) == 0) return;
    if (errno != EEXIST) break;
  }
  fail_on_path(target_, "cannot be made", errno);
}

AtomicFolder::~AtomicFolder() {
  std::error_code ignored;  // a destructor has nobody to tell
  if (!committed_) std::filesystem::remove_all(partial_, ignored);
}

void AtomicFolder::commit() {
  try {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(partial_)) {
      if (entry.is_regular_file() || entry.is_directory()) sync_path(entry.path());
    }
  } catch (const std::filesystem::filesystem_error& error) {
    fail_on_path(partial_, "cannot be synced", error.code().value());
  }
  sync_path(partial_);
  int moved = ::renameat2(AT_FDCWD, partial_.c_str(), AT_FDCWD, target_.c_str(), RENAME_NOREPLACE);
  // Some file systems cannot make sure in one step.
  if (moved != 0 && (errno == EINVAL || errno == ENOSYS)) {
    const bool taken = std::filesystem::exists(std::filesystem::symlink_status(target_));
    errno = EEXIST;
    moved = taken ? -1 : ::rename(partial_.c_str(), target_.c_str());
  }
  if (moved != 0) fail_on_path(target_, "cannot be put in place", errno);
  committed_ = true;
  sync_path(folder_of(target_));
}

}  // namespace regulon::core
