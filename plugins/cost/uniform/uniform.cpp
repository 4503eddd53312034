#include <ATen/ops/ones.h>
#include <regulon/feature_cost.h>

/// Every feature costs one, as in the plain L1 penalty.
class Uniform final : public regulon::FeatureCost {
 public:
  at::Tensor cost(const regulon::FeatureStats&, const regulon::Dictionary& dictionary) override {
    return at::ones({dictionary.features()}, dictionary.weight().options());
  }
};

REGULON_FEATURE_COST(Uniform, "uniform", "Every feature costs the same")
