#pragma once
/// Folders and files that one process at a time may use.

#include <filesystem>
#include <optional>

namespace regulon::core {

/// A lock file that is held: the kernel lets go of it when the process ends, however it ends. Children do not
/// inherit it.
class FileLock {
 public:
  enum class Kind {
    exclusive,  ///< nobody else has it
    shared      ///< others may have it too, if they share
  };

  /// The lock on `file`, which is made if it is missing, or nothing if another process has it. Throws
  /// RunError if the file cannot be opened.
  static std::optional<FileLock> try_take(const std::filesystem::path& file, Kind kind = Kind::exclusive);
  /// Waits until it can have the lock. Throws RunError if the file cannot be opened or locked.
  static FileLock take(const std::filesystem::path& file, Kind kind = Kind::exclusive);

  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock();

 private:
  explicit FileLock(const std::filesystem::path& file);
  int descriptor_ = -1;
};

}  // namespace regulon::core
