#pragma once
/// NumPy's .npy: a magic, a version, a Python dict as text, then the bytes of one array.
/// Format: numpy.lib.format (versions 1.0, 2.0 and 3.0).

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>

#include "core/io/mapped_tensor.h"

namespace regulon::core {

/// An array of float16, float32 or float64, little-endian, in C order. Pickled objects, Fortran order, other
/// byte orders and other dtypes are refused.
class NpyFile {
 public:
  /// Throws InputError naming the file, what was expected and what was found.
  explicit NpyFile(const std::filesystem::path& path);

  const TensorEntry& entry() const { return entry_; }             ///< its name is empty
  at::Tensor tensor() const { return tensor_at(file_, entry_); }  ///< see tensor_at
  const std::shared_ptr<const MappedFile>& file() const { return file_; }

 private:
  std::shared_ptr<const MappedFile> file_;
  TensorEntry entry_;
};

}  // namespace regulon::core
