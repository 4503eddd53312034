#include "core/measure/nearest.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/mm.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>
#include <vector>

namespace regulon::core {
namespace {

constexpr std::int64_t kBlockEntries = std::int64_t{1} << 23;  ///< cosines at a time: 32 MB
constexpr std::int64_t kCosineBins = 100;
constexpr double kNoNeighbour = -8;  ///< below every cosine and offset

}  // namespace

at::Tensor unit_directions(const at::Tensor& rows) {
  const at::NoGradGuard no_grad;
  at::Tensor directions = at::empty(rows.sizes(), at::kFloat);
  const std::int64_t block =
      std::max<std::int64_t>(1, kBlockEntries / std::max<std::int64_t>(1, rows.size(1)));
  for (std::int64_t first = 0; first < rows.size(0); first += block) {
    const std::int64_t count = std::min(block, rows.size(0) - first);
    const at::Tensor precise = rows.detach().narrow(0, first, count).to(at::kDouble);
    const at::Tensor norms = at::linalg_vector_norm(precise, 2, at::IntArrayRef({1}), true);
    directions.narrow(0, first, count).copy_(precise / norms.clamp_min(1e-30));
  }
  return directions;
}

void for_cosine_blocks(const at::Tensor& queries, const at::Tensor& keys,
                       const std::function<void(std::int64_t, at::Tensor&)>& use) {
  const at::NoGradGuard no_grad;
  const std::int64_t block =
      std::clamp<std::int64_t>(kBlockEntries / std::max<std::int64_t>(1, keys.size(0)), 1, 4096);
  const at::Tensor transposed = keys.t();
  // One buffer for all: results that stay between blocks would keep the allocator from using freed ones
  // again.
  const at::Tensor buffer = at::empty({std::min(block, queries.size(0)), keys.size(0)}, queries.options());
  for (std::int64_t first = 0; first < queries.size(0); first += block) {
    const std::int64_t count = std::min(block, queries.size(0) - first);
    at::Tensor cosines = buffer.narrow(0, 0, count);
    at::mm_out(cosines, queries.narrow(0, first, count), transposed);
    use(first, cosines);
  }
}

NearestDirections nearest_directions(const at::Tensor& queries, const at::Tensor& keys, std::int64_t k,
                                     bool same, const at::Tensor& offsets) {
  const std::int64_t found = std::max<std::int64_t>(0, std::min(k, keys.size(0) - (same ? 1 : 0)));
  std::vector<at::Tensor> cosines = {at::empty({0, found}, at::kFloat)};
  std::vector<at::Tensor> ids = {at::empty({0, found}, at::kLong)};
  for_cosine_blocks(queries, keys, [&](std::int64_t first, at::Tensor& block) {
    if (offsets.defined()) block += offsets;
    if (same) block.diagonal(first).fill_(kNoNeighbour);
    auto [values, indices] = found == 1 ? block.max(1, true) : block.topk(found, 1);
    cosines.push_back(std::move(values));
    ids.push_back(std::move(indices));
  });
  return {at::cat(cosines), at::cat(ids)};
}

std::vector<std::int64_t> cosine_histogram(const at::Tensor& cosines) {
  const at::Tensor places =
      ((cosines.to(at::kDouble) + 1) / 2 * static_cast<double>(kCosineBins)).to(at::kLong);
  const at::Tensor counts = at::bincount(places.clamp(0, kCosineBins - 1).flatten(), {}, kCosineBins);
  const auto* const count = counts.const_data_ptr<std::int64_t>();
  return {count, count + kCosineBins};
}

nlohmann::json cosine_bins() {
  return {{"first", -1}, {"width", 2.0 / static_cast<double>(kCosineBins)}, {"count", kCosineBins}};
}

}  // namespace regulon::core
