#pragma once
/// Sparse codes in a safetensors file: `row_offsets` [B + 1] int64, `feature_ids` [entries] int32, `values`
/// [entries] float32, of each row's entries by ascending feature; metadata "features" says n.

#include <regulon/codes.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "core/io/named_tensors.h"

namespace regulon::core {

/// Writes codes batch by batch. Entries are spooled to files beside the target, so that memory holds eight
/// bytes a row only; the target appears whole, at commit, or not at all.
class CodesWriter {
 public:
  /// Throws RunError if files beside `target` cannot be written.
  CodesWriter(std::filesystem::path target, std::int64_t features);
  ~CodesWriter();
  CodesWriter(const CodesWriter&) = delete;
  CodesWriter& operator=(const CodesWriter&) = delete;

  /// Appends rows; values become float32.
  void add(const Codes& codes);
  std::int64_t rows() const { return static_cast<std::int64_t>(offsets_.size()) - 1; }
  std::int64_t entries() const { return offsets_.back(); }
  /// Writes the target: the codes, and `more` beside them.
  void commit(const NamedTensors& more, std::map<std::string, std::string> metadata);

 private:
  void append(std::ofstream& spool, const std::filesystem::path& path, const at::Tensor& tensor);
  at::Tensor spooled(std::ofstream& spool, const std::filesystem::path& path, at::ScalarType dtype) const;

  std::filesystem::path target_;
  std::int64_t features_;
  std::filesystem::path ids_path_;
  std::filesystem::path values_path_;
  std::ofstream ids_;
  std::ofstream values_;
  std::vector<std::int64_t> offsets_ = {0};
};

/// Reads such a file. Throws InputError naming it where it holds no codes, or offsets and features that make
/// none.
Codes read_codes(const std::filesystem::path& path);

}  // namespace regulon::core
