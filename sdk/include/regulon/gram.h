#pragma once
/// Matrix products with gradient that give the same bits for every number of threads, for terms that look at
/// a whole dictionary by its d x d Gram matrix and never by an n x n one. Float and double.

#include <ATen/core/Tensor.h>

namespace regulon::ops {

/// Sum over rows of w wᵀ: rowsᵀ · rows, [d, d], for rows [n, d] (n may be 0). O(n d²), and as much again for
/// the gradient, which is rows · (g + gᵀ). Its squared Frobenius norm is the sum over all ordered pairs of
/// rows, each with itself too, of their squared products; its trace is the sum of squared norms.
at::Tensor gram(const at::Tensor& rows);

/// a · b for [m, k] and [k, n], with gradient to both.
at::Tensor matrix_product(const at::Tensor& a, const at::Tensor& b);

}  // namespace regulon::ops
