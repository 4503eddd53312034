#include "core/io/named_tensors.h"

#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <regulon/error.h>

#include <algorithm>

namespace regulon::core {
namespace {

std::string shape_text(const at::Tensor& tensor) {
  if (!tensor.defined()) return "no such tensor";
  return fmt::format("{} [{}]", c10::toString(tensor.scalar_type()), fmt::join(tensor.sizes(), ", "));
}

}  // namespace

at::Tensor find_tensor(const NamedTensors& tensors, const std::string& name) {
  const auto found =
      std::find_if(tensors.begin(), tensors.end(), [&](const auto& entry) { return entry.first == name; });
  return found == tensors.end() ? at::Tensor() : found->second;
}

void copy_tensors(const NamedTensors& own, const NamedTensors& given, const std::string& origin) {
  const at::NoGradGuard no_grad;
  for (const auto& [name, target] : own) {
    const at::Tensor source = find_tensor(given, name);
    if (!source.defined() || source.sizes() != target.sizes() ||
        source.scalar_type() != target.scalar_type()) {
      throw InputError({origin, fmt::format("tensor '{}' does not fit the config", name), shape_text(target),
                        shape_text(source), "the file belongs to another config, or is not whole"});
    }
    at::Tensor(target).copy_(source);
  }
}

}  // namespace regulon::core
