#pragma once
/// Trains a model step by step, in memory. Files, terminals and signals are somebody else's.

#include "core/config/config.h"
#include "core/model/model.h"
#include "core/plugin/host.h"
#include "core/train/adam.h"
#include "core/train/objective.h"
#include "core/train/report.h"
#include "core/train/statistics.h"
#include "core/train/step_clock.h"

#include <cstdint>

namespace regulon::core {

/// One run's model, objective, optimiser and statistics.
///
/// A step is a function of the state and of the step's number: whoever restores `state()` of step s goes on
/// in the same bits.
class Trainer {
 public:
  /// `sample` [rows, d]: normalised rows for initialisation; `start`: what takes its place.
  Trainer(const Config& config, const PluginHost& host, const at::Tensor& sample,
          const ModelStart& start = {});

  /// Takes step `step_number()` on `batch` [B, d] (normalised). With `report`, fills in what is measured of
  /// the step; times are the caller's. Throws RunError naming the plugin that failed.
  void step(const at::Tensor& batch, Report* report);

  std::int64_t step_number() const { return step_; }
  Model& model() { return model_; }
  FeatureStats statistics() const { return statistics_.view(); }
  /// The feature costs [n] as the next step would see them.
  at::Tensor costs() { return costs_.at(step_, statistics_.view(), model_.dictionary()); }

  /// Every later step tells `clock` what its parts take; null: none does.
  void set_clock(StepClock* clock) { clock_ = clock; }

  /// Throws RunError naming the parameter if one is not finite.
  void require_finite() const;

  /// Everything that a resumed run needs.
  NamedTensors state() const;
  /// Restores `state` as of step `step`; throws InputError naming `origin` if it does not fit.
  void load(const NamedTensors& state, std::int64_t step, const std::string& origin);

 private:
  StepView view(const at::Tensor& batch, const Dictionary& dictionary, std::uint64_t seed);
  void measure(const at::Tensor& batch, const at::Tensor& row_errors, const Codes& codes,
               Report& report) const;
  void after_step(const at::Tensor& batch, const at::Tensor& row_errors, std::uint64_t seed);
  void lap(Phase phase);

  Config config_;
  Model model_;
  Objective objective_;
  Costs costs_;
  Statistics statistics_;
  Adam optimiser_;
  std::uint64_t seed_;
  std::int64_t step_ = 0;
  StepClock* clock_ = nullptr;
};

}  // namespace regulon::core
