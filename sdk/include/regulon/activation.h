#pragma once
/// Activations: the named ways of the field to choose codes ("relu", "topk", …). Any encoder takes any of
/// them.

#include <regulon/codes.h>
#include <regulon/plugin.h>
#include <regulon/selection.h>
#include <regulon/step.h>

#include <functional>
#include <string>
#include <vector>

namespace regulon {

/// What an activation may look at when it makes its selection for a batch.
struct ActivationView {
  std::int64_t step = 0;
  bool training = false;
  at::Tensor costs;       ///< [n], no gradient
  Dictionary dictionary;  ///< detached; its norms are made only if asked for
};

/// Makes the selection of each step; may learn thresholds (parameters) or track them (state).
class Activation : public Plugin {
 public:
  Activation() = default;
  ~Activation() override;

  virtual Selection selection(const ActivationView& view) const = 0;
  /// Called once when a model is new, after `prepare`: thresholds may be set from data. `encode_sample` gives
  /// the codes of the sample rows (`Preparation::sample`) under a selection, without gradient.
  virtual void start(const std::function<Codes(const Selection&)>& encode_sample);
  /// Called after each training step with the codes that came out and the selection that chose them: a learnt
  /// inference threshold looks at them.
  virtual void observe(const Codes& codes, const Selection& selection);
};

/// All activations there are, by name; `interface_id` is "activation/1".
const std::vector<PluginDescriptor>& activations();

}  // namespace regulon
