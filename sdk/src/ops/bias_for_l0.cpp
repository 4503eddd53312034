#include <ATen/TensorOperators.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/topk.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <regulon/ops.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/support.h"
#include "ops/tiles.h"

namespace regulon::ops {
namespace {

constexpr std::int64_t kBlock = 1024;  ///< features at a time: the products [rows, n] are never held whole
constexpr double kBelow = 1e-3;  ///< least distance to the lowest product, of the largest, that all rows fire

/// [count]: a level between the `firing` best products of each feature and the next one. Where all rows are
/// to fire there is no next one: a mean gap below the lowest product, and never at it. `best` [firing or
/// firing + 1, count], descending.
at::Tensor level_of(const at::Tensor& best, std::int64_t firing) {
  const at::Tensor last = best[firing - 1];
  if (best.size(0) > firing) return (last + best[firing]) * 0.5;
  const at::Tensor gap = (best[0] - last) / static_cast<double>(firing);
  const at::Tensor least = best.abs().amax(0) * kBelow;
  return last - at::maximum(gap, least).clamp_min(std::numeric_limits<float>::min());
}

}  // namespace

at::Tensor bias_for_l0(const Product& product, double l0) {
  const char* const where = "bias_for_l0";
  const c10::NoGradGuard no_gradient;
  detail::check_floating(where, "the input", product.input, 2);
  detail::check_floating(where, "the weight", product.weight, 2);
  const std::int64_t rows = product.input.size(0);
  const std::int64_t n = product.weight.size(0);
  detail::check_like(where, "the weight", product.weight, {n, product.input.size(1)}, product.input);
  if (rows == 0 || !(l0 > 0)) {
    detail::fail(where, "cannot set biases", "at least one row and an l0 above zero",
                 fmt::format("{} rows and an l0 of {}", rows, l0));
  }
  const at::Tensor input =
      product.center.defined() ? product.input - product.center : at::Tensor(product.input);
  // A feature that never fires would never learn: where rows * l0 < n each fires once, which makes n / rows
  // features a row instead of l0.
  const double share = static_cast<double>(rows) * l0 / static_cast<double>(n);
  const std::int64_t firing = std::clamp<std::int64_t>(std::llround(share), 1, rows);
  at::Tensor bias = at::empty({n}, product.input.options());
  for (std::int64_t first = 0; first < n; first += kBlock) {
    const std::int64_t count = std::min(kBlock, n - first);
    const at::Tensor products =
        detail::tiled_product_value(input.contiguous(), product.weight.narrow(0, first, count).t());
    const at::Tensor best = std::get<0>(at::topk(products, std::min(firing + 1, rows), 0, true, true));
    bias.narrow(0, first, count).copy_(level_of(best, firing).neg());
  }
  return bias;
}

}  // namespace regulon::ops
