#pragma once
/// Which pre-activations become codes. A selection is a value: plain data that any encoder hands to
/// `select_product`.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace regulon {

/// All selections of the field are of two families, each on a score s = (z - score_shift) * score_scale of
/// the pre-activation z. Only features with z > 0 are ever listed, except near misses inside `window`.
struct Selection {
  enum class Family {
    threshold,  ///< per feature: listed where s > thresholds (ReLU: 0; JumpReLU: theta; BatchTopK at
                ///< inference: its learnt one)
    rank,  ///< the k largest scores of each row, or the B * k largest of the batch; equal scores: lower row,
           ///< then lower id
  };
  enum class Scope { row, batch };

  Family family = Family::threshold;
  at::Tensor
      thresholds;  ///< [n] or [1]; undefined means 0. With gradient: the straight-through one of JumpReLU
  double window =
      0.0;  ///< near misses with |s - threshold| <= window / 2 are listed too; also the kernel's width
  std::int64_t k = 0;  ///< rank: features a row (mean, when scope is batch); at least 1
  Scope scope = Scope::row;
  at::Tensor score_shift;  ///< [n] or undefined: mu * cost, "z - mu * c"
  at::Tensor score_scale;  ///< [n] > 0 or undefined: "z / c", or decoder norms
  at::Tensor only;         ///< [m] int64, ascending: the only features that may be listed (AuxK's dead ones);
                           ///< undefined: all
};

}  // namespace regulon
