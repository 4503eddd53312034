#pragma once
/// Guarded calls: whatever a plugin does wrong becomes one RunError that names it, the call, and what to do.

#include <regulon/encoder.h>
#include <regulon/feature_cost.h>
#include <regulon/loss_term.h>
#include <regulon/plugin.h>
#include "core/plugin/call.h"
#include "core/plugin/input_watch.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace regulon::core {

/// One plugin object in a run, with the name and path that messages need. All calls go through it.
///
/// Checked after every call: exceptions of any type; shape, dtype and device of what came back; that no input
/// was changed in place (tensor versions at every call, contents too at the first of each kind); that
/// declared state kept its shape and its fence; that feature ids are in range. Finiteness costs a device
/// sync, so values are checked at the first call and where the caller says that a report is due
/// (`check_values`); so does looking at fences and ids on another device than the CPU.
class GuardedPlugin {
 public:
  GuardedPlugin(std::unique_ptr<Plugin> plugin, std::string name, std::string origin);

  const std::string& name() const { return who_.name; }
  Plugin& object() { return *plugin_; }
  Preparation& preparation() { return preparation_; }
  const Preparation& preparation() const { return preparation_; }

  /// Plugin::needs and Plugin::provides.
  std::vector<std::string> needs() const;
  std::vector<std::string> provides() const;
  /// Fills in what `outline` tells, calls prepare, checks what was registered. Afterwards `preparation` holds
  /// the registered tensors and the sizes, but no longer the outline's own tensors. An InputError of the
  /// plugin's goes on as one, placed: its parameters do not fit what it was told.
  void prepare(const Preparation& outline);
  /// Plugin::report: every figure finite.
  std::map<std::string, double> report();

  /// LossTerm::value: undefined, or a finite scalar that requires grad (where gradients are being recorded
  /// and anything that the term was given requires one).
  at::Tensor value(const StepView& step, bool check_values);
  /// LossTerm::acts_after_step.
  bool acts_after_step() const;
  /// LossTerm::after_step, without gradient: only what is declared writable was written, and not resized.
  void after_step(UpdateView& update);
  /// Encoder::encode: codes of [B, n], of the batch's dtype and on its device.
  Codes encode(const EncodeView& view, bool check_values);
  /// Encoder::directions: undefined or [n, d].
  at::Tensor directions(const Dictionary& dictionary);
  /// FeatureCost::cost: [n], finite, not negative, without gradient.
  at::Tensor cost(const FeatureStats& stats, const Dictionary& dictionary, bool check_values);

 private:
  /// The object as the interface `Base`; RunError if it is of another.
  template <class Base>
  Base& as(const std::string& call) const;
  /// Throws RunError with `problem`, placed at `call`, unless its `what` is empty.
  void refuse(const std::string& call, Problem problem) const;
  /// Whether `call` is made for the first time.
  bool first_time(const std::string& call);
  /// Throws RunError if an input changed or a registered tensor was not kept as declared.
  void check_kept(const std::string& call, const InputWatch& watch, bool wait_for_device) const;
  void check_registered(const std::string& call) const;

  std::unique_ptr<Plugin> plugin_;
  PluginName who_;
  Preparation preparation_;
  std::vector<std::string> first_calls_done_;
};

}  // namespace regulon::core
