#pragma once
/// Files and folders that appear whole or not at all: written beside, synced, renamed.
///
/// Every failure is a RunError that names the path, the system's own words and what to do; what was half
/// written is removed. A process that is killed leaves at most `NAME.partial`, which the next write replaces.

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace regulon::core {

/// Throws the RunError for a failed system call on `path`: `what` says what failed ("cannot be written"),
/// `error` is errno.
[[noreturn]] void fail_on_path(const std::filesystem::path& path, const std::string& what, int error);

/// Makes `folder` and its parents where they are missing. Throws RunError.
void make_folders(const std::filesystem::path& folder);

/// A file being written: nothing is seen under `target` before commit().
class AtomicFile {
 public:
  /// Opens `target`.partial beside it. Throws RunError, also when another process is writing the same target.
  explicit AtomicFile(std::filesystem::path target);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  /// Without a commit, removes what was written.
  ~AtomicFile();

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  /// Syncs the file, puts it in the place of `target` and syncs the folder. Nothing may be written after it.
  void commit();

 private:
  [[noreturn]] void fail(const std::string& what, int error) const;

  std::filesystem::path target_;
  std::filesystem::path partial_;
  int descriptor_ = -1;
};

/// Writes `contents` to `target` through an AtomicFile.
void write_atomically(const std::filesystem::path& target, std::string_view contents);

/// Throws InputError if something is at `path`, or `path` is empty: for what is to be made and would take
/// long to fill.
void require_absent(const std::filesystem::path& path);

/// A new folder being filled: write into path(), then commit().
class AtomicFolder {
 public:
  /// Makes an empty folder beside `target`, "TARGET.partial-PROCESS-NUMBER", a name of its own, and the
  /// folders above it: nothing that is there is touched. What a killed process leaves behind of that name may
  /// be removed. Throws InputError if something is at `target`.
  explicit AtomicFolder(std::filesystem::path target);
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;
  /// Without a commit, removes what was written.
  ~AtomicFolder();

  const std::filesystem::path& path() const { return partial_; }  ///< where to write
  /// Syncs the folder and everything in it, then gives it the name `target`. Throws RunError if something
  /// has got that name meanwhile, which is left as it is.
  void commit();

 private:
  std::filesystem::path target_;
  std::filesystem::path partial_;
  bool committed_ = false;
};

}  // namespace regulon::core
