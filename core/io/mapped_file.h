#pragma once
/// A whole file as read-only memory.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace regulon::core {

/// Maps a file when made and unmaps it when destroyed. Bytes are read from disk when they are first touched,
/// so a mapping may be larger than memory. The file must not be cut short by others while it is mapped.
class MappedFile {
 public:
  /// Throws InputError if `path` is missing, not readable, a folder or another thing without contents, or
  /// empty.
  explicit MappedFile(std::filesystem::path path);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  const std::filesystem::path& path() const { return path_; }
  const std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }  ///< bytes, at least 1
  std::span<const std::byte> bytes() const { return {data_, size_}; }

  /// Asks the system to read bytes [offset, offset + count) soon. Only a hint.
  void will_need(std::size_t offset, std::size_t count) const;
  /// Takes the pages of bytes [offset, offset + count) out of this process's memory; touching them again
  /// brings them back. Keeps the memory in use flat, however large the file is.
  void drop(std::size_t offset, std::size_t count) const;

 private:
  void advise(std::size_t offset, std::size_t count, int advice) const;

  std::filesystem::path path_;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace regulon::core
