#include "ops/select_check.h"

#include <ATen/ops/isnan.h>
#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <string>

#include "ops/support.h"

namespace regulon::ops::detail {
namespace {

void check_product(const Product& product) {
  check_floating(kSelectProduct, "the input", product.input, 2);
  check_floating(kSelectProduct, "the weight", product.weight, 2);
  const std::int64_t n = product.weight.size(0);
  const std::int64_t d = product.input.size(1);
  check_like(kSelectProduct, "the weight", product.weight, {n, d}, product.input);
  if (n > std::numeric_limits<std::int32_t>::max() - 4096) {
    fail(kSelectProduct, "too many features", "fewer than 2147479552", fmt::format("{}", n));
  }
  if (product.bias.defined()) check_like(kSelectProduct, "the bias", product.bias, {n}, product.input);
  if (product.center.defined()) check_like(kSelectProduct, "the center", product.center, {d}, product.input);
}

void check_only(const at::Tensor& only, std::int64_t n) {
  if (only.dim() != 1 || only.scalar_type() != at::kLong || !only.device().is_cpu()) {
    fail(kSelectProduct, "cannot use 'only'", "[m] Long on the CPU", text_of(only));
  }
  const at::Tensor ids = only.contiguous();
  const std::int64_t* const id = ids.const_data_ptr<std::int64_t>();
  std::int64_t before = -1;
  for (std::int64_t i = 0; i < ids.size(0); ++i) {
    if (id[i] <= before || id[i] >= n) {
      fail(kSelectProduct, "cannot use 'only'", fmt::format("ascending features below {}", n),
           fmt::format("{} after {}", id[i], before));
    }
    before = id[i];
  }
}

void check_threshold(const Selection& selection, const at::Tensor& input, std::int64_t n) {
  if (!(selection.window >= 0) || !std::isfinite(selection.window)) {
    fail(kSelectProduct, "cannot use the window", "a finite number of at least 0",
         fmt::format("{}", selection.window));
  }
  const at::Tensor& thresholds = selection.thresholds;
  if (!thresholds.defined()) return;
  const bool one = thresholds.dim() == 1 && thresholds.size(0) == 1;
  check_like(kSelectProduct, "the threshold", thresholds, {one ? 1 : n}, input);
  if (at::isnan(thresholds.detach()).any().item<bool>()) {
    fail(kSelectProduct, "cannot use the thresholds", "numbers", "one that is not a number");
  }
}

}  // namespace

void check_select_product(const Product& product, const Selection& selection) {
  check_product(product);
  const std::int64_t n = product.weight.size(0);
  if (selection.family == Selection::Family::threshold) check_threshold(selection, product.input, n);
  if (selection.family == Selection::Family::rank && selection.k < 1) {
    fail(kSelectProduct, "cannot use k", "at least 1", fmt::format("{}", selection.k));
  }
  if (selection.prices.defined()) {
    check_like(kSelectProduct, "the prices", selection.prices, {n}, product.input);
    if (n > 0 && !(selection.prices.detach().min().item<double>() > 0)) {
      fail(kSelectProduct, "cannot use the prices", "numbers above zero", "one that is not");
    }
  }
  if (selection.score_shift.defined())
    check_like(kSelectProduct, "the score's shift", selection.score_shift, {n}, product.input);
  if (selection.score_scale.defined()) {
    check_like(kSelectProduct, "the score's scale", selection.score_scale, {n}, product.input);
    if (n > 0 && !(selection.score_scale.detach().min().item<double>() > 0)) {
      fail(kSelectProduct, "cannot use the score's scale", "numbers above zero", "one that is not");
    }
  }
  if (selection.only.defined()) check_only(selection.only, n);
}

}  // namespace regulon::ops::detail
