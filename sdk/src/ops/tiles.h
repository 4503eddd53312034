#pragma once
/// Matrix products in tiles of fixed sizes, each tile by one thread: faster than one large call, since a tile
/// stays in cache, and the same bits for every number of threads.

#include <ATen/core/Tensor.h>

namespace regulon::ops::detail {

/// out = a · b without autograd, by the calling thread: [r, k] · [k, c] into [r, c]. Views are welcome.
void tile_product(const at::Tensor& a, const at::Tensor& b, at::Tensor& out);

/// out += a · b, likewise.
void add_tile_product(const at::Tensor& a, const at::Tensor& b, at::Tensor out);

/// a · b with gradient to both: [m, k] · [k, n] -> [m, n].
at::Tensor tiled_product(const at::Tensor& a, const at::Tensor& b);

/// matrix + row, in each of its rows, with gradient to both: the row's is summed in a fixed order.
at::Tensor add_row(const at::Tensor& matrix, const at::Tensor& row);

/// a · b without gradient.
at::Tensor tiled_product_value(const at::Tensor& a, const at::Tensor& b);

}  // namespace regulon::ops::detail
