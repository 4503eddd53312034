#pragma once
/// Sparse codes in a safetensors file: `row_offsets` [B + 1] int64, `feature_ids` [entries] int32, `values`
/// [entries] float32, of each row's entries by ascending feature; metadata "features" says n.

#include <regulon/codes.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/io/named_tensors.h"
#include "core/io/spool.h"

namespace regulon::core {

/// Writes codes batch by batch. Entries are kept in spools, so that memory holds eight bytes a row only; the
/// target appears whole, at commit, or not at all.
class CodesWriter {
 public:
  CodesWriter(std::filesystem::path target, std::int64_t features);

  /// Appends rows; values become float32. Throws RunError if they cannot be written.
  void add(const Codes& codes);
  std::int64_t rows() const { return static_cast<std::int64_t>(offsets_.size()) - 1; }
  std::int64_t entries() const { return offsets_.back(); }
  /// Writes the target: the codes, and `more` beside them.
  void commit(const NamedTensors& more, std::map<std::string, std::string> metadata);

 private:
  std::filesystem::path target_;
  std::int64_t features_;
  Spool ids_;
  Spool values_;
  std::vector<std::int64_t> offsets_ = {0};
};

/// Reads such a file. Throws InputError naming it where it holds no codes, or offsets and features that make
/// none.
Codes read_codes(const std::filesystem::path& path);

}  // namespace regulon::core
