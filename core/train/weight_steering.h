#pragma once
/// A loss weight that finds itself: steered so that the codes' L0 nears a target.

#include <ATen/core/Tensor.h>

namespace regulon::core {

/// The factor on a term's weight, moved after each of the term's steps by a proportional-integral controller
/// of e = ln(L0 / target), held within -1 and 1:
///
///     s += 0.01 e;  factor = exp(s + 0.5 e)
///
/// The integral finds the weight; the proportional part damps it, since L0 answers a change of the weight
/// only over the next hundred steps or so.
class WeightSteering {
 public:
  /// `target` > 0: active features a row, mean over the batch.
  explicit WeightSteering(double target);

  /// Takes in the L0 of a step that the term took part in.
  void observe(double l0);
  /// What the next step multiplies the weight by; one before anything was seen.
  double factor() const;
  /// [2] double: s and the last e, which a resumed run needs; shares memory.
  const at::Tensor& state() const { return state_; }

 private:
  double target_;
  at::Tensor state_;
};

}  // namespace regulon::core
