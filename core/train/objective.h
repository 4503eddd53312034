#pragma once
/// The sum of weighted loss terms.

#include "core/config/config.h"
#include "core/io/named_tensors.h"
#include "core/model/parameter.h"
#include "core/plugin/guard.h"
#include "core/plugin/host.h"
#include "core/train/report.h"
#include "core/train/weight_steering.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace regulon::core {

/// Owns the loss terms of a run, in the order of the config.
class Objective {
 public:
  Objective(const Config& config, const PluginHost& host);

  /// Lets every term register what it keeps; `seed` feeds a stream per term.
  void prepare(const Preparation& outline, std::uint64_t seed);
  /// What the terms learn, as "loss.NAME.parameter".
  std::vector<Parameter> parameters() const;
  /// Parameters and states of all terms, by the same kind of name.
  NamedTensors state() const;

  /// The objective of a step; undefined if no term had a value. Terms whose weight is zero or whose turn it
  /// is not are skipped. If `terms` is given it is filled in, which costs a device sync.
  at::Tensor value(const StepView& step, std::vector<TermReport>* terms);
  /// Steers the weights that follow the codes' L0, after step `step`.
  void steer(const Codes& codes, std::int64_t step);
  /// Calls the terms that act after the optimiser's step. `outline` lacks only the generator; `seed` is the
  /// step's.
  void after_step(UpdateView outline, std::uint64_t seed);
  bool acts_after_step() const;
  /// Figures that the terms report, as "NAME.figure".
  std::map<std::string, double> report();

 private:
  struct Term {
    LossChoice choice;
    GuardedPlugin plugin;
    bool acts_after_step;
    std::optional<WeightSteering> steering;

    double weight_at(std::int64_t step) const;
  };
  std::vector<Term> terms_;
};

}  // namespace regulon::core
