#pragma once
/// Running statistics of the features, and the prices made from them.

#include <regulon/step.h>
#include "core/config/config.h"
#include "core/io/named_tensors.h"
#include "core/plugin/guard.h"
#include "core/plugin/host.h"

#include <cstdint>
#include <optional>

namespace regulon::core {

/// Keeps FeatureStats as slow averages over the steps of a run.
class Statistics {
 public:
  /// `averaging`: share of the old value kept at each step, in [0, 1).
  Statistics(std::int64_t features, std::int64_t width, double averaging);

  /// Counts one step's codes in.
  void update(const Codes& codes);
  /// The averages so far, each over what it has seen (no pull towards the zeros at the start).
  FeatureStats view() const;
  /// Share of features that have not been active for at least `rows` rows.
  double dead_share(std::int64_t rows) const;

  /// What a checkpoint holds.
  NamedTensors state() const;
  /// Copies a state in; throws InputError naming `origin` if it does not fit.
  void load(const NamedTensors& state, const std::string& origin);

 private:
  double averaging_;
  std::int64_t width_;
  at::Tensor frequency_;    ///< [n] double: average not yet divided by what it has seen
  at::Tensor mean_value_;   ///< [n] double
  at::Tensor silent_rows_;  ///< [n] int64
  at::Tensor counters_;     ///< [2] int64: steps and rows seen
};

/// The feature cost of a run as its terms see it: mean one, between least and cap, warmed up.
class Costs {
 public:
  Costs(const Config& config, const PluginHost& host);
  void prepare(const Preparation& outline);
  /// [n] float32 for `step`: ones before anything was seen, and where the config names no cost.
  at::Tensor at(std::int64_t step, const FeatureStats& stats, const Dictionary& dictionary);
  /// What the cost keeps, as "cost.NAME".
  NamedTensors state() const;

 private:
  Choice choice_;
  CostSection section_;
  std::optional<GuardedPlugin> plugin_;  ///< none: every feature costs one
};

}  // namespace regulon::core
