#include <ATen/TensorOperators.h>
#include <regulon/feature_cost.h>

/// A feature costs 1 / (m + epsilon), m the slow average of its value over all rows: under L1 each feature
/// then pays about alike, as if it were counted and not summed (Candes, Wakin and Boyd 2008, "Enhancing
/// Sparsity by Reweighted L1 Minimization", with a feature's average in place of a single coefficient).
class ReweightedL1 final : public regulon::FeatureCost {
 public:
  static void declare(regulon::Declaration<ReweightedL1>& d) {
    d.param("epsilon", &ReweightedL1::epsilon_)
        .above(0)
        .unit("activation")
        .schedulable()
        .doc("added to the mean value: bounds the cost of features never seen at 1 / epsilon");
  }

  at::Tensor cost(const regulon::FeatureStats& stats, const regulon::Dictionary&) override {
    return (stats.mean_value + epsilon_).reciprocal();
  }

 private:
  double epsilon_ = 0.01;
};

REGULON_FEATURE_COST(ReweightedL1, "reweighted_l1", "1 / (mean value + epsilon): weak features cost more")
