#pragma once
/// Sums and dot products over listed entries: what decoding and all gradients by feature or by row are made
/// of. Each item is reduced by one thread in the order of its entries.

#include <ATen/core/Tensor.h>
#include <regulon/codes.h>

#include <vector>

namespace regulon::ops::detail {

/// A matrix [items, d] to be made: row i is the sum over the entries e of item i of
/// weights[e] * matrix[ids[e]].
struct RowSums {
  at::Tensor offsets;  ///< [items + 1] int64
  at::Tensor ids;      ///< [entries] int32
  at::Tensor weights;  ///< [entries]
  at::Tensor matrix;   ///< [m, d]
};

/// `start` ([d], [items, d] or undefined) and all of `parts` (at least one; of the same items and d), added
/// up in an order that follows from the lists: [items, d].
at::Tensor sum_rows(const std::vector<RowSums>& parts, const at::Tensor& start = {});

/// out[e] = dot(rows[i], matrix[ids[e]]) for each entry e of item i: [entries].
at::Tensor dot_rows(const at::Tensor& offsets, const at::Tensor& ids, const at::Tensor& rows,
                    const at::Tensor& matrix);

/// Sum of all rows of `matrix` [m, d], each times its weight ([m], undefined: one): [d].
at::Tensor weighted_total(const at::Tensor& weights, const at::Tensor& matrix);

/// Sum of `weights` [entries] over the entries of each feature, in double: [n] of the dtype of `weights`.
at::Tensor total_by_feature(const Codes& codes, const at::Tensor& weights);

/// Sum of all of a vector, in double, in blocks of a fixed size: the same for every number of threads.
double total(const at::Tensor& vector);

/// values[places[e]]: [entries].
at::Tensor permuted(const at::Tensor& values, const at::Tensor& places);

}  // namespace regulon::ops::detail
