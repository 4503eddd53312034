#pragma once
/// Adam, fused with what surrounds it in SAE training: parallel-gradient removal, clipping, and the row norm.

#include "core/config/config.h"
#include "core/io/named_tensors.h"
#include "core/model/parameter.h"

#include <regulon/pending_gradients.h>

#include <cstdint>
#include <vector>

namespace regulon::core {

struct AdamConstants;

/// The learning rate of `step` (from 0) in a run of `steps`: linear warm-up, constant, linear decay to zero.
double learning_rate_at(const OptimiserSection& section, std::int64_t step, std::int64_t steps);

/// Adam (Kingma and Ba 2015, algorithm 1, with bias correction) over named float32 parameters.
///
/// One pass over each parameter reads gradient, weight and both moments once and writes weight and moments
/// once; what waits of a gradient is summed in that pass (and in another before it if the norm is wanted).
/// Frozen rows are neither changed nor counted in the gradient's norm. Rows are independent, so the bits do
/// not depend on the number of threads. Peers drop the parallel part before they clip: so here.
class Adam {
 public:
  Adam(const OptimiserSection& section, std::vector<Parameter> parameters);

  /// Backward of the scalar `loss`; gradients add up until the next `step`. Those that may wait are left to
  /// it, which sums each row when it comes to it, so that they are never written, unless there is clipping.
  /// Throws what the backward throws; what leaves took before stays in their `grad()`, and nothing is
  /// pending.
  void backward(const at::Tensor& loss);

  /// Updates every parameter that has a gradient, then drops the gradients. `updates` made so far come from
  /// the state. Returns the norm of the whole gradient before clipping if clipping is on or `want_norm`, else
  /// 0. Throws RunError, with nothing changed, if that norm is not finite.
  double step(double learning_rate, bool want_norm);

  /// Clears the moments of features `ids` [m] int64 in every parameter whose first dimension is `features`.
  void reset_features(const at::Tensor& ids, std::int64_t features);

  /// Moments and the count of updates, by parameter name: what a checkpoint holds.
  NamedTensors state() const;
  /// Copies a state in; throws InputError naming `origin` if something is missing or misshapen.
  void load(const NamedTensors& state, const std::string& origin);

 private:
  struct Moments {
    at::Tensor first;
    at::Tensor second;
  };
  double gradient_norm() const;
  AdamConstants constants(double learning_rate, double norm) const;
  /// Of one parameter; what is the parameter's own in `constants` is filled in.
  void update(std::size_t index, AdamConstants constants);
  bool has_gradient(std::size_t index) const;

  OptimiserSection section_;
  std::vector<Parameter> parameters_;
  std::vector<Moments> moments_;
  std::vector<ops::PendingRows> pending_;  ///< by parameter: gradients that the backward has left
  at::Tensor updates_;                     ///< [] int64
};

}  // namespace regulon::core
