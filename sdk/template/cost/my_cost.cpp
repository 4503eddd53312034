#include <ATen/TensorOperators.h>
#include <regulon/feature_cost.h>

/// What the cost is for, and where its formula comes from (paper, equation). Here: features cost more the
/// more often they are active.
class MyCost final : public regulon::FeatureCost {
 public:
  /// What a config may set. Checked before the first step; `./regulon plugins my_cost --plugin-path
  /// build/plugins` lists it.
  static void declare(regulon::Declaration<MyCost>& d) {
    d.param("slope", &MyCost::slope_)
        .at_least(0)
        .schedulable()
        .doc("by which the cost grows with the frequency");
  }

  /// [n], finite, not negative, without gradient. The core scales it to mean one.
  at::Tensor cost(const regulon::FeatureStats& stats, const regulon::Dictionary& /*dictionary*/) override {
    return stats.frequency * slope_ + 1.0;
  }

 private:
  double slope_ = 10.0;
};

REGULON_FEATURE_COST(MyCost, "my_cost", "Grows with a feature's frequency")
