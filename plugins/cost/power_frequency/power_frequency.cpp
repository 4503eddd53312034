#include <ATen/TensorOperators.h>
#include <regulon/feature_cost.h>

/// A feature of frequency p costs (p + offset)^power. At a negative power rare features cost more, at a
/// positive one frequent ones. A setting to start from: the defaults and, under [cost],
/// averaging = 0.99, warm_up = 200, least = 0.1, cap = 10. No publication of it is known.
class PowerFrequency final : public regulon::FeatureCost {
 public:
  static void declare(regulon::Declaration<PowerFrequency>& d) {
    d.param("power", &PowerFrequency::power_)
        .at_least(-4)
        .at_most(4)
        .schedulable()
        .doc("of the frequency; negative: rare features cost more");
    d.param("offset", &PowerFrequency::offset_)
        .above(0)
        .at_most(1)
        .unit("share of rows")
        .doc("added to the frequency: bounds the cost of features never seen");
  }

  at::Tensor cost(const regulon::FeatureStats& stats, const regulon::Dictionary&) override {
    return (stats.frequency + offset_).pow(power_);
  }

 private:
  double power_ = -0.5;
  double offset_ = 1e-4;
};

REGULON_FEATURE_COST(PowerFrequency, "power_frequency",
                     "(p + offset)^power: a power of the frequency, by default rare features cost more")
