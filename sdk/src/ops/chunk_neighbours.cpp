#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randperm.h>
#include <ATen/ops/sort.h>
#include <regulon/pairs.h>

#include <utility>
#include <vector>

#include "ops/support.h"

namespace regulon::ops {
namespace {

constexpr const char* kChunkNeighbours = "chunk_neighbours";

/// The neighbours of all chunks in order of row; a row's own are together and in order already.
Neighbours in_order(const std::vector<at::Tensor>& row, const std::vector<at::Tensor>& other,
                    const std::vector<at::Tensor>& share) {
  const auto [sorted, order] = at::sort(at::cat(row), /*stable=*/true, 0, /*descending=*/false);
  return {sorted, at::cat(other).index_select(0, order), at::cat(share).index_select(0, order)};
}

}  // namespace

Neighbours chunk_neighbours(const at::Tensor& unit_rows, std::int64_t chunk, at::Generator generator,
                            bool absolute) {
  detail::check_floating(kChunkNeighbours, "unit_rows", unit_rows, 2);
  if (chunk < 1) detail::fail(kChunkNeighbours, "cannot use the chunk", "at least 1", std::to_string(chunk));
  const at::Tensor rows = unit_rows.detach().contiguous();
  const std::int64_t n = rows.size(0);
  const std::int64_t chunks = (n + chunk - 1) / chunk;
  const at::Tensor order = at::randperm(n, std::move(generator), at::kLong);
  std::vector<at::Tensor> row{at::empty({0}, at::kLong)};
  std::vector<at::Tensor> other{at::empty({0}, at::kLong)};
  std::vector<at::Tensor> share{at::empty({0}, rows.options())};
  for (std::int64_t k = 0; k < chunks; ++k) {
    const std::int64_t begin = n * k / chunks;
    const at::Tensor ids = std::get<0>(at::sort(order.slice(0, begin, n * (k + 1) / chunks)));
    if (ids.size(0) < 2) continue;
    NearestSettings settings;
    settings.absolute = absolute;
    const Neighbours found = nearest_neighbours(rows.index_select(0, ids), settings);
    row.push_back(ids.index_select(0, found.row));
    other.push_back(ids.index_select(0, found.other));
    share.push_back(found.share);
  }
  return in_order(row, other, share);
}

}  // namespace regulon::ops
