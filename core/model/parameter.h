#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace regulon::core {

/// Something that the optimiser updates.
struct Parameter {
  std::string name;                       ///< "decoder.weight"
  at::Tensor tensor;                      ///< the leaf; requires grad
  bool unit_rows = false;                 ///< rows are kept at norm one
  bool remove_parallel_gradient = false;  ///< the gradient's part along each row is dropped first
};

}  // namespace regulon::core
