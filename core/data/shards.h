#pragma once
/// Rows of many files as one long matrix.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/io/hash.h"
#include "core/io/mapped_tensor.h"

namespace regulon::core {

/// Rows [first, first + count).
struct RowRange {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

/// The files that match `patterns` (shell patterns: * ? [a-z]), sorted by path, each once. Relative patterns
/// start at `base`. Throws InputError for a pattern that matches nothing.
std::vector<std::filesystem::path> matching_files(const std::vector<std::string>& patterns,
                                                  const std::filesystem::path& base);

/// Matrices [rows, d] of floats in .safetensors and .npy files, memory-mapped, addressed by one row number
/// that runs through all files. Const calls may come from several threads.
class Shards {
 public:
  Shards() = default;
  /// `tensor` is the matrix's name in safetensors files; a file that lacks it but has just one matrix of
  /// floats is read by that. Throws InputError if a file cannot be read, or its matrix has another rank,
  /// dtype or width than is needed.
  Shards(const std::vector<std::filesystem::path>& files, const std::string& tensor);

  std::int64_t rows() const { return rows_; }
  std::int64_t width() const { return width_; }  ///< d
  /// The rows of each file, in order.
  std::vector<RowRange> ranges() const;

  /// Copies `rows` to `out` [rows.size(), d], as float32. Throws InputError naming file, row and column of a
  /// value that is not finite.
  void gather(std::span<const std::int64_t> rows, float* out) const;
  /// Whether every file names a token for each of its rows: an integer tensor `token_ids` [rows] beside the
  /// matrix.
  bool has_token_ids() const;
  /// [count] int64: the tokens of rows `range`, which must lie in one file. Only where there are some.
  at::Tensor token_ids(RowRange range) const;
  /// Asks the system to read the rows soon.
  void will_need(RowRange range) const;
  /// Takes the rows' pages out of this process's memory again.
  void drop(RowRange range) const;
  /// Adds sizes, layouts and contents: files up to 64 MiB whole, larger ones by their layout and 64 blocks of
  /// 64 KiB, evenly spaced from the first byte to the last.
  void add_to(Hasher& hasher) const;

 private:
  struct Shard {
    std::shared_ptr<const MappedFile> file;
    TensorEntry entry;
    std::int64_t first_row = 0;
    at::Tensor token_ids;  ///< [rows], mapped, or undefined
    std::int64_t rows() const { return entry.shape[0]; }
  };
  const Shard& shard_of(std::int64_t row) const;
  void refuse_value(std::int64_t row, const float* values) const;
  template <class Act>
  void for_bytes(RowRange range, Act act) const;

  std::vector<Shard> shards_;
  std::int64_t rows_ = 0;
  std::int64_t width_ = 0;
  std::size_t row_bytes_ = 0;
  at::ScalarType dtype_ = at::kFloat;
};

}  // namespace regulon::core
