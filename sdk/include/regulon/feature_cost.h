#pragma once
/// feature_cost/1: what it costs to use a feature.

#include <regulon/plugin.h>
#include <regulon/step.h>

namespace regulon {

/// Turns statistics into a price per feature. Sparsity terms and selecting encoders take it without knowing
/// which.
class FeatureCost : public Plugin {
 public:
  FeatureCost() = default;
  ~FeatureCost() override;

  /// [n], finite, not negative, without gradient. The core scales the result to mean one unless the config
  /// says otherwise.
  virtual at::Tensor cost(const FeatureStats& stats, const Dictionary& dictionary) = 0;
};

}  // namespace regulon

/// REGULON_FEATURE_COST(Class, "name", "one line about it"), once in a library, at namespace scope.
#define REGULON_FEATURE_COST(CLASS, NAME, SUMMARY) REGULON_PLUGIN(CLASS, "feature_cost/1", NAME, SUMMARY)
