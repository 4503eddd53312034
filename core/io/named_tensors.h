#pragma once
/// Tensors by name: what files hold, what runs save.

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

namespace regulon::core {

/// Tensors in a fixed order, each under its name ("decoder.weight").
using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

/// The tensor called `name`, or an undefined one.
at::Tensor find_tensor(const NamedTensors& tensors, const std::string& name);

/// Copies into each tensor of `own` the one of the same name in `given`, without gradient. Throws InputError
/// naming `origin` and the tensor if one is missing or has another shape or dtype; tensors of `given` that
/// nobody asks for are left alone.
void copy_tensors(const NamedTensors& own, const NamedTensors& given, const std::string& origin);

}  // namespace regulon::core
