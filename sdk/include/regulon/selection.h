#pragma once
/// Which pre-activations become codes. A selection is a value: plain data that any encoder hands to
/// `select_product`.

#include <ATen/core/Tensor.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace regulon {

/// Nanoseconds that all threads together spent in the parts of `select_product`; they add up from call to
/// call.
struct SelectTimes {
  std::atomic<std::int64_t> product{0};    ///< the screening product, with rounding and packing
  std::atomic<std::int64_t> selection{0};  ///< looking for candidates
  std::atomic<std::int64_t> exact{0};      ///< the candidates' values as defined
};

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
  /// In what the product is computed that finds the candidates. Codes are the same bits whichever it is.
  /// automatic: bfloat16 where the input is float and the processor multiplies it quicker.
  enum class Precision { automatic, float32, bfloat16 };
  /// What stands for the derivative of the step at a threshold: K(u) / window at u = (s - threshold) /
  /// window, zero outside of [-1/2, 1/2] and of area one over it. box: 1. triangle: 2 - 4|u|. epanechnikov:
  /// 3/2 (1 - 4u^2). quartic: 15/8 (1 - 4u^2)^2. cosine: 1 + cos(2 pi u). gaussian: of standard deviation
  /// 1/6, cut off, and so of area 0.997 only.
  enum class Kernel { box, triangle, epanechnikov, quartic, cosine, gaussian };

  Family family = Family::threshold;
  at::Tensor
      thresholds;  ///< [n] or [1]; undefined means 0. With gradient: the straight-through one of JumpReLU
  double window =
      0.0;  ///< near misses with |s - threshold| <= window / 2 are listed too; also the kernel's width
  Kernel kernel = Kernel::box;   ///< weight of the straight-through gradient inside the window
  bool window_to_input = false;  ///< the straight-through gradient also reaches z, with the opposite sign
  std::int64_t k = 0;            ///< rank: features a row (mean, when scope is batch); at least 1
  Scope scope = Scope::row;
  at::Tensor score_shift;  ///< [n] or undefined: mu * cost, "z - mu * c"
  at::Tensor score_scale;  ///< [n] > 0 or undefined: "z / c", or decoder norms
  at::Tensor prices;  ///< [n] > 0 or undefined (all one). rank: the best scores are taken in order while the
                      ///< sum of their prices stays within k a row, or B * k in the batch
  at::Tensor only;    ///< [m] int64, ascending: the only features that may be listed (AuxK's dead ones);
                      ///< undefined: all
  Precision precision = Precision::automatic;
  SelectTimes* times = nullptr;  ///< where to add what each part took; null: it is not measured
};

}  // namespace regulon
