#pragma once
/// The nearest directions of one dictionary among another's, in blocks: never n x n.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <vector>

namespace regulon::core {

/// Rows [n, d] as float32 directions of length one; rows of zeros stay zero.
at::Tensor unit_directions(const at::Tensor& rows);

/// For each query, its nearest keys by cosine, nearest first.
struct NearestDirections {
  at::Tensor cosines;  ///< [n, k] float32
  at::Tensor keys;     ///< [n, k] int64
};

/// The k nearest of `keys` [m, d] to each of `queries` [n, d], both of length one; fewer where there are
/// fewer. `same`: both are the same rows, and none is its own neighbour. `offsets` [m] float32 or undefined:
/// added to each key's cosine before they are ranked (and in `cosines`). O(n m d) time, n k memory.
NearestDirections nearest_directions(const at::Tensor& queries, const at::Tensor& keys, std::int64_t k,
                                     bool same = false, const at::Tensor& offsets = {});

/// How many of `cosines` [any] lie in each of 100 bins of 0.02 from -1 to 1, the last with both ends.
std::vector<std::int64_t> cosine_histogram(const at::Tensor& cosines);
/// What these bins are, for JSON.
nlohmann::json cosine_bins();

/// Calls `use(first row, cosines [rows, m])` for block after block of `queries`; the cosines are overwritten
/// by the next block.
void for_cosine_blocks(const at::Tensor& queries, const at::Tensor& keys,
                       const std::function<void(std::int64_t, at::Tensor&)>& use);

}  // namespace regulon::core
