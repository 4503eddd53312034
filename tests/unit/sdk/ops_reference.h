#pragma once
/// Plain and slow versions of what the SDK's operations promise, and gradient checks.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace regulon::test {

using TensorList = std::vector<at::Tensor>;

/// Restores the number of threads.
class Threads {
 public:
  explicit Threads(int count) : before_(at::get_num_threads()) { at::set_num_threads(count); }
  ~Threads() { at::set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

/// `scale`; whose backward runs `inner`, as checkpointing computes a forward anew and goes back through it.
inline at::Tensor running_in_backward(const at::Tensor& scale, std::function<void()> inner) {
  at::Tensor same = scale * 1;
  same.register_hook([inner = std::move(inner)](const at::Tensor&) {
    const at::AutoGradMode on(true);
    inner();
  });
  return same;
}

/// Same shape, dtype and bits (but for the sign of zero).
inline bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && at::equal(a.detach(), b.detach());
}

/// A dot product as the SDK defines it.
template <typename T>
T defined_dot(const T* a, const T* b, std::int64_t d) {
  T sums[16] = {};
  for (std::int64_t i = 0; i < d; ++i) sums[i % 16] = std::fma(a[i], b[i], sums[i % 16]);
  for (const int half : {8, 4, 2, 1}) {
    for (int j = 0; j < half; ++j) sums[j] += sums[j + half];
  }
  return sums[0];
}

/// All dot products of rows of `a` with rows of `b`, as defined: [rows of a, rows of b].
inline at::Tensor defined_products(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor left = a.detach().contiguous();
  const at::Tensor right = b.detach().contiguous();
  at::Tensor out = at::empty({left.size(0), right.size(0)}, left.options());
  AT_DISPATCH_FLOATING_TYPES(left.scalar_type(), "defined_products", [&] {
    const std::int64_t d = left.size(1);
    for (std::int64_t i = 0; i < left.size(0); ++i) {
      for (std::int64_t j = 0; j < right.size(0); ++j) {
        out.data_ptr<scalar_t>()[i * right.size(0) + j] =
            defined_dot(left.data_ptr<scalar_t>() + i * d, right.data_ptr<scalar_t>() + j * d, d);
      }
    }
  });
  return out;
}

/// Unit rows, double unless said otherwise.
inline at::Tensor random_units(std::int64_t n, std::int64_t d, at::ScalarType type = at::kDouble) {
  const at::Tensor rows = at::randn({n, d}, type);
  return rows / rows.norm(2, 1, true);
}

/// Expects the gradients of a scalar function to agree with central differences, for every number of every
/// input.
inline void expect_gradients(const std::function<at::Tensor(const TensorList&)>& function, TensorList inputs,
                             double tolerance = 1e-6) {
  for (at::Tensor& input : inputs) input = input.detach().clone().set_requires_grad(true);
  const TensorList gradients = torch::autograd::grad({function(inputs)}, inputs);
  constexpr double kStep = 1e-6;
  const at::NoGradGuard no_gradient;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    ASSERT_EQ(inputs[i].scalar_type(), at::kDouble);
    ASSERT_TRUE(inputs[i].is_contiguous());
    const at::Tensor gradient = gradients[i].contiguous();
    for (std::int64_t j = 0; j < inputs[i].numel(); ++j) {
      double& x = inputs[i].data_ptr<double>()[j];
      const double before = x;
      x = before + kStep;
      const double above = function(inputs).item<double>();
      x = before - kStep;
      const double below = function(inputs).item<double>();
      x = before;
      const double numeric = (above - below) / (2 * kStep);
      EXPECT_NEAR(gradient.data_ptr<double>()[j], numeric, tolerance * (1 + std::fabs(numeric)))
          << "input " << i << ", element " << j;
    }
  }
}

}  // namespace regulon::test
