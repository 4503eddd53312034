#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace regulon::core {

/// Something that the optimiser updates.
struct Parameter {
  std::string name;                       ///< "decoder.weight"
  at::Tensor tensor;                      ///< the leaf; requires grad
  bool unit_rows = false;                 ///< rows are kept at norm one
  bool remove_parallel_gradient = false;  ///< the gradient's part along each row is dropped first
  std::int64_t frozen_rows = 0;           ///< the first so many (elements, of a vector) stay as they are

  /// What of `tensor`, which is the parameter or shaped like it, belongs to rows that learn: a view.
  at::Tensor learning_part(const at::Tensor& tensor) const {
    if (frozen_rows == 0) return tensor.detach();
    return tensor.detach().narrow(0, frozen_rows, tensor.size(0) - frozen_rows);
  }
};

}  // namespace regulon::core
