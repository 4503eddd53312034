// The kernels of the straight-through gradient, and where that gradient goes.

#include <regulon/ops.h>

#include <array>
#include <cmath>

#include "select_reference.h"

namespace regulon {
namespace {

using Kernel = Selection::Kernel;

constexpr double kThreshold = 0.7;
constexpr double kWindow = 0.2;

/// One feature whose pre-activations are given, among others that stay silent so that the codes are listed,
/// or by itself: then one dense product makes them.
struct OneFeature {
  OneFeature(const at::Tensor& z, Kernel kernel, bool listed, bool to_input) {
    const std::int64_t n = listed ? 40 : 1;
    input = z.clone().unsqueeze(1).set_requires_grad(true);
    threshold = at::full({1}, kThreshold, at::kDouble).set_requires_grad(true);
    at::Tensor weight = at::zeros({n, 1}, at::kDouble);
    weight[0][0] = 1;
    Selection selection;
    selection.thresholds = threshold;
    selection.window = kWindow;
    selection.kernel = kernel;
    selection.window_to_input = to_input;
    codes = ops::select_product({input, weight, at::Tensor(), at::Tensor()}, selection);
  }
  at::Tensor input;
  at::Tensor threshold;
  Codes codes = Codes::dense(at::zeros({1, 1}));
};

/// dopen/dtheta at (z - theta) / window = u, times -window: the kernel itself.
double kernel_at(Kernel kernel, double u, bool listed) {
  const at::Tensor z = at::full({1}, kThreshold + u * kWindow, at::kDouble);
  const OneFeature one(z, kernel, listed, false);
  if (one.codes.entries() == 0) return 0;
  one.codes.channel("open").sum().backward();
  return -one.threshold.grad().item<double>() * kWindow;
}

TEST(SelectWindow, KernelsHaveTheirShapes) {
  // At the middle, and halfway to the edge.
  const std::array<std::array<double, 2>, 6> expected = {
      {{1, 1}, {2, 1}, {1.5, 1.125}, {1.875, 1.0546875}, {2, 1}, {2.393653682, 0.777105574}}};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto kernel = static_cast<Kernel>(i);
    for (const bool listed : {true, false}) {
      EXPECT_NEAR(kernel_at(kernel, 1e-9, listed), expected[i][0], 1e-6) << i;
      EXPECT_NEAR(kernel_at(kernel, 0.25, listed), expected[i][1], 1e-6) << i;
      EXPECT_NEAR(kernel_at(kernel, -0.25, listed), expected[i][1], 1e-6) << i;
      EXPECT_EQ(kernel_at(kernel, 0.51, listed), 0) << i;
      EXPECT_EQ(kernel_at(kernel, -0.51, listed), 0) << i;
    }
  }
}

TEST(SelectWindow, KernelsHaveAreaOne) {
  constexpr std::int64_t kPoints = 4000;
  for (int i = 0; i < 6; ++i) {
    const at::Tensor u = (at::arange(kPoints, at::kDouble) + 0.5) / kPoints - 0.5;
    const OneFeature one(kThreshold + u * kWindow, static_cast<Kernel>(i), true, false);
    one.codes.channel("open").sum().backward();
    // The gaussian is cut off at three standard deviations.
    EXPECT_NEAR(-one.threshold.grad().item<double>() * kWindow / kPoints, 1, i == 5 ? 0.003 : 1e-5) << i;
  }
}

TEST(SelectWindow, ValuesJumpByTheThreshold) {
  for (const bool listed : {true, false}) {
    const at::Tensor z = at::tensor({kThreshold - 0.05, kThreshold + 0.05, kThreshold + 0.5}, at::kDouble);
    const OneFeature one(z, Kernel::triangle, listed, false);
    const at::Tensor probe = at::tensor({2.0, 3.0, 5.0}, at::kDouble);
    (one.codes.to_dense().select(1, 0) * probe).sum().backward();
    EXPECT_NEAR(one.threshold.grad().item<double>(), -kThreshold / kWindow * (2.0 * 1 + 3.0 * 1), 1e-9);
    EXPECT_TRUE(at::allclose(one.input.grad().squeeze(1), at::tensor({0.0, 3.0, 5.0}, at::kDouble)));
  }
}

TEST(SelectWindow, MayReachTheInputWithTheOppositeSign) {
  for (const bool listed : {true, false}) {
    const at::Tensor z = at::tensor({kThreshold - 0.05, kThreshold + 0.05, kThreshold + 0.5}, at::kDouble);
    const at::Tensor probe = at::tensor({2.0, 3.0, 5.0}, at::kDouble);
    const OneFeature values(z, Kernel::triangle, listed, true);
    (values.codes.to_dense().select(1, 0) * probe).sum().backward();
    const double jump = kThreshold / kWindow;
    EXPECT_TRUE(
        at::allclose(values.input.grad().squeeze(1), at::tensor({2 * jump, 3 + 3 * jump, 5.0}, at::kDouble)));
    const OneFeature open(z, Kernel::triangle, listed, true);
    (open.codes.with_values(open.codes.channel("open")).to_dense().select(1, 0) * probe).sum().backward();
    EXPECT_TRUE(
        at::allclose(open.input.grad().squeeze(1), at::tensor({2 / kWindow, 3 / kWindow, 0.0}, at::kDouble)));
    EXPECT_NEAR(open.threshold.grad().item<double>(), -5 / kWindow, 1e-9);
  }
}

}  // namespace
}  // namespace regulon
