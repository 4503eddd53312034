#pragma once
/// Codes with some of their entries left out, to see what these were good for.

#include <ATen/core/Tensor.h>
#include <regulon/codes.h>

#include <cstdint>

namespace regulon::core {

/// The codes without the `k` weakest active entries of each row, by value times the norm of the feature's
/// decoder row (`norms` [n]): by what they add to the reconstruction. Of equals, higher features go first.
/// Rows with no more than k are left empty; entries that are not active are left out in any case.
Codes drop_weakest(const Codes& codes, const at::Tensor& norms, std::int64_t k);

/// The codes without the features that `dropped` [n] bool marks.
Codes drop_features(const Codes& codes, const at::Tensor& dropped);

}  // namespace regulon::core
