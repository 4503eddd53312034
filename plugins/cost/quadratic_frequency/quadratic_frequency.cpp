#include <ATen/TensorOperators.h>
#include <regulon/feature_cost.h>

/// A feature of frequency p costs 1 + p / p0: with the term l0, and with mean_one = false under [cost] (else
/// costs are divided by their mean), that is a penalty of sum_i p_i (1 + p_i / p0), linear in the frequency
/// of rare features and quadratic in that of features more frequent than p0, which it means to remove (Smith
/// et al. 2025, "Negative Results for SAEs on Downstream Tasks", GDM interpretability team). There the
/// gradient goes through both factors; a cost has none, so that p0 here pulls like 2 p0 there. The opposite
/// of log_rarity.
class QuadraticFrequency final : public regulon::FeatureCost {
 public:
  static void declare(regulon::Declaration<QuadraticFrequency>& d) {
    d.param("p0", &QuadraticFrequency::p0_)
        .above(0)
        .at_most(1)
        .unit("share of rows")
        .doc("the frequency from which the cost rises; usually 0.01 to 0.1");
  }

  at::Tensor cost(const regulon::FeatureStats& stats, const regulon::Dictionary&) override {
    return stats.frequency / p0_ + 1;
  }

 private:
  double p0_ = 0.1;
};

REGULON_FEATURE_COST(QuadraticFrequency, "quadratic_frequency",
                     "1 + p / p0: features more frequent than p0 cost more")
