#pragma once
/// Gradients against finite differences, in double.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

namespace regulon::tests {

/// Central differences of the scalar `f` with respect to every element of `x`, which `f` reads.
inline at::Tensor numeric_gradient(const std::function<at::Tensor()>& f, const at::Tensor& x,
                                   double step = 1e-6) {
  at::Tensor gradient = at::zeros_like(x.detach()).contiguous();
  const at::Tensor values = x.detach().view(-1);
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    const double held = values[i].item<double>();
    values[i].fill_(held + step);
    const double above = f().detach().item<double>();
    values[i].fill_(held - step);
    const double below = f().detach().item<double>();
    values[i].fill_(held);
    gradient.view(-1)[i].fill_((above - below) / (2 * step));
  }
  return gradient;
}

/// The gradient of the scalar `f` that autograd finds for the leaf `x`; zeros if `x` does not matter.
inline at::Tensor autograd_gradient(const std::function<at::Tensor()>& f, const at::Tensor& x) {
  x.mutable_grad() = at::Tensor();
  f().backward();
  return x.grad().defined() ? x.grad().detach().clone() : at::zeros_like(x.detach());
}

/// Expects both to agree for the double leaf `x`, and the gradient not to be zero throughout.
inline void expect_gradient(const std::function<at::Tensor()>& f, const at::Tensor& x,
                            const std::string& what, double tolerance = 1e-6) {
  ASSERT_EQ(x.scalar_type(), at::kDouble) << what;
  const at::Tensor found = autograd_gradient(f, x);
  const at::Tensor expected = numeric_gradient(f, x);
  const double scale = std::max(1.0, expected.abs().max().item<double>());
  EXPECT_LT((found - expected).abs().max().item<double>(), tolerance * scale)
      << what << "\nautograd:\n"
      << found << "\nfinite differences:\n"
      << expected;
  EXPECT_GT(expected.abs().max().item<double>(), 0.0) << what << ": the test point has no gradient to check";
}

}  // namespace regulon::tests
