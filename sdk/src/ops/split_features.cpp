#include <ATen/TensorOperators.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <regulon/ops.h>

#include <algorithm>
#include <numeric>

#include "ops/support.h"

namespace regulon::ops {
namespace {

/// The entries of features [first, first + size).
Codes block_of(const Codes& codes, std::int64_t first, std::int64_t size) {
  const at::Tensor& ids = codes.feature_ids();
  const at::Tensor kept = at::nonzero((ids >= first).logical_and(ids < first + size)).squeeze(1);
  const at::Tensor rows = codes.entry_rows().index_select(0, kept);
  at::Tensor offsets = at::zeros({codes.rows() + 1}, codes.row_offsets().options());
  offsets.narrow(0, 1, codes.rows()).copy_(at::bincount(rows, {}, codes.rows()).cumsum(0));
  return Codes::sparse(size, offsets, ids.index_select(0, kept) - first,
                       codes.values().index_select(0, kept));
}

}  // namespace

namespace detail {

void check_block_sizes(const std::string& where, const std::vector<std::int64_t>& sizes,
                       std::int64_t features) {
  const std::int64_t sum = std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0});
  const bool positive = std::all_of(sizes.begin(), sizes.end(), [](std::int64_t size) { return size > 0; });
  if (positive && sum == features) return;
  fail(where, "cannot use the sizes", fmt::format("sizes of at least 1 that add up to {} features", features),
       positive ? fmt::format("a sum of {}", sum) : "one below 1");
}

}  // namespace detail

std::vector<Codes> split_features(const Codes& codes, const std::vector<std::int64_t>& sizes) {
  detail::check_block_sizes("split_features", sizes, codes.features());
  std::vector<Codes> blocks;
  blocks.reserve(sizes.size());
  std::int64_t first = 0;
  for (const std::int64_t size : sizes) {
    const bool sparse = codes.is_sparse();
    blocks.push_back(sparse ? block_of(codes, first, size)
                            : Codes::dense(codes.to_dense().narrow(1, first, size)));
    first += size;
  }
  return blocks;
}

}  // namespace regulon::ops
