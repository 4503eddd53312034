#pragma once
/// How stored rows become the rows that the model sees.

#include <ATen/core/Tensor.h>

#include <string>

#include "core/data/source.h"
#include "core/io/named_tensors.h"

namespace regulon::core {

/// x -> (x - mean) * scale. Travels with a run's weights, so that a trained model is used on rows as stored.
struct Normalisation {
  at::Tensor mean;     ///< [d] float32; undefined: nothing is subtracted
  double scale = 1.0;  ///< above zero

  /// Rows [B, d] as the model sees them; same dtype and device.
  at::Tensor apply(const at::Tensor& rows) const;
  /// The rows back as stored: the inverse of apply, up to rounding.
  at::Tensor invert(const at::Tensor& rows) const;

  /// "normalisation.scale" [] float64 and, if there is one, "normalisation.mean" [d] float32.
  NamedTensors tensors() const;
  /// What tensors() gave. Throws InputError naming `origin` if they are missing or not of that kind.
  static Normalisation from_tensors(const NamedTensors& tensors, const std::string& origin);
};

/// Estimated from the first 16,384 rows of the training stream (fewer if one pass has fewer), summed in one
/// fixed order. `kind`: "none"; "scale": the mean row norm becomes sqrt(d); "center": the mean row is
/// subtracted first. Throws InputError if the sample has no norm to scale by.
Normalisation estimate_normalisation(Source& source, const std::string& kind);

}  // namespace regulon::core
