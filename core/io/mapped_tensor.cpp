#include "core/io/mapped_tensor.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <cstring>
#include <utility>

#include "core/io/safetensors.h"

namespace regulon::core {

std::string layout_text(const TensorEntry& entry) {
  std::string text = dtype_name(entry.dtype) + " [";
  for (std::size_t i = 0; i < entry.shape.size(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(entry.shape[i]);
  }
  return text + "]";
}

at::Tensor tensor_at(std::shared_ptr<const MappedFile> file, const TensorEntry& entry) {
  const std::byte* const data = file->data() + entry.offset;
  const auto options = at::TensorOptions(entry.dtype);
  const bool aligned = reinterpret_cast<std::uintptr_t>(data) % at::elementSize(entry.dtype) == 0;
  if (entry.bytes == 0 || !aligned) {
    at::Tensor copy = at::empty(entry.shape, options);
    if (entry.bytes > 0) std::memcpy(copy.mutable_data_ptr(), data, entry.bytes);
    return copy;
  }
  // from_blob wants a mutable pointer; the mapping's protection is what keeps it from being written to.
  void* const memory = const_cast<std::byte*>(data);
  return at::from_blob(
      memory, entry.shape, [file = std::move(file)](void*) {}, options);
}

std::int64_t byte_count(const std::vector<std::int64_t>& shape, std::size_t element_size) {
  auto bytes = static_cast<std::int64_t>(element_size);
  for (const std::int64_t extent : shape) {
    if (extent < 0 || __builtin_mul_overflow(bytes, extent, &bytes)) return -1;
  }
  return bytes;
}

}  // namespace regulon::core
