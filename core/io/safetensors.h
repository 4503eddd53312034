#pragma once
/// Safetensors: 8 bytes of header length (little-endian), a JSON header, then the tensors' bytes.
/// Format: https://github.com/huggingface/safetensors (README, "Format").

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/io/mapped_tensor.h"
#include "core/io/named_tensors.h"

namespace regulon::core {

/// The format's name of a dtype ("F32", "BF16", …); ATen's own name if the format has none.
std::string dtype_name(at::ScalarType dtype);

/// A safetensors file, read strictly: the header has at most 100 MB and fits the file, is valid JSON without
/// a key twice, names known dtypes; every tensor has as many bytes as its shape needs; together they fill the
/// file without hole or overlap. Values are not looked at: NaN is allowed here.
class SafetensorsFile {
 public:
  /// Throws InputError naming the file, what was expected and what was found.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::vector<TensorEntry>& entries() const { return entries_; }  ///< in the order of their bytes
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const TensorEntry* find(const std::string& name) const;  ///< nullptr if there is none
  /// The tensor `name`: see tensor_at. Throws InputError, with what there is, if there is none.
  at::Tensor tensor(const std::string& name) const;
  /// All tensors, in the order of their bytes.
  NamedTensors tensors() const;
  const std::shared_ptr<const MappedFile>& file() const { return file_; }

 private:
  std::shared_ptr<const MappedFile> file_;
  std::vector<TensorEntry> entries_;
  std::map<std::string, std::string> metadata_;
};

/// Writes `tensors` (any device, any strides) and `metadata` to `path`, atomically and always in the same
/// bytes: larger elements first, then by name, each tensor aligned to its element, the first to 8. Throws
/// RunError if it cannot be written, a name stands twice, or a dtype has no name in the format.
void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace regulon::core
