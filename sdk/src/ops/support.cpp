#include "ops/support.h"

#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <regulon/error.h>

namespace regulon::ops::detail {

void fail(const std::string& where, const std::string& what, const std::string& expected,
          const std::string& found, const std::string& hint) {
  throw RunError(Problem{where, what, expected, found, hint});
}

std::string text_of(const at::Tensor& tensor) {
  if (!tensor.defined()) return "nothing";
  return fmt::format("[{}] {} on {}", fmt::join(tensor.sizes(), ", "), c10::toString(tensor.scalar_type()),
                     tensor.device().str());
}

void check_floating(const std::string& where, const std::string& name, const at::Tensor& tensor,
                    std::int64_t dimensions) {
  const bool fits = tensor.defined() && tensor.dim() == dimensions && tensor.device().is_cpu() &&
                    tensor.layout() == at::kStrided &&
                    (tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kDouble);
  if (fits) return;
  fail(where, fmt::format("cannot use {}", name),
       fmt::format("{} dimension{}, float or double, on the CPU", dimensions, dimensions == 1 ? "" : "s"),
       text_of(tensor));
}

void check_like(const std::string& where, const std::string& name, const at::Tensor& tensor,
                at::IntArrayRef shape, const at::Tensor& like) {
  const bool fits = tensor.defined() && tensor.sizes() == shape &&
                    tensor.scalar_type() == like.scalar_type() && tensor.device() == like.device();
  if (fits) return;
  fail(where, fmt::format("{} does not fit the other tensors", name),
       fmt::format("[{}] {} on {}", fmt::join(shape, ", "), c10::toString(like.scalar_type()),
                   like.device().str()),
       text_of(tensor));
}

void refuse_double_backward(const std::string& where) {
  if (!at::GradMode::is_enabled()) return;
  fail(where, "gradients of gradients are not available", "a backward without create_graph", "one with it",
       "compute that term from the dense codes with plain operators");
}

}  // namespace regulon::ops::detail
