#pragma once
/// A tensor's place in a mapped file: what the readers of safetensors and npy have in common.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/io/mapped_file.h"

namespace regulon::core {

/// Where a tensor lies in its file: C order, little-endian.
struct TensorEntry {
  std::string name;
  at::ScalarType dtype = at::kFloat;
  std::vector<std::int64_t> shape;
  std::size_t offset = 0;  ///< of its first byte, from the start of the file
  std::size_t bytes = 0;   ///< elements times the size of one
};

/// "F16 [43008, 384]": dtype and shape for messages.
std::string layout_text(const TensorEntry& entry);

/// The tensor without copying where its address suits its dtype (it then keeps the file mapped and must not
/// be written to: the memory is read-only), a copy elsewhere. On the CPU, contiguous.
at::Tensor tensor_at(std::shared_ptr<const MappedFile> file, const TensorEntry& entry);

/// The number of bytes of `shape` elements of `element_size` bytes, or -1 where that overflows.
std::int64_t byte_count(const std::vector<std::int64_t>& shape, std::size_t element_size);

}  // namespace regulon::core
