#include <regulon/feature_cost.h>

#include <algorithm>

/// A feature of frequency p costs -log2(p): the bits that say that it is active, as a description length
/// counts them (Ayonrinde, Pearce and Sharkey 2024, "Interpretability as Compression", arXiv 2410.11179).
/// Unlike log_rarity it has no floor at ln d: a feature that is always active costs nothing.
///
/// Two floors under p keep the cost of rare features defined, as in log_rarity: `min_frequency`, and one over
/// the rows seen, since N rows cannot show a frequency below 1/N.
class Bits final : public regulon::FeatureCost {
 public:
  static void declare(regulon::Declaration<Bits>& d) {
    d.param("min_frequency", &Bits::min_frequency_)
        .above(0)
        .at_most(1)
        .unit("share of rows")
        .doc("rarer features cost no more than one of this frequency");
  }

  at::Tensor cost(const regulon::FeatureStats& stats, const regulon::Dictionary&) override {
    const double seen_once = 1.0 / static_cast<double>(std::max<std::int64_t>(stats.rows_seen, 1));
    // The average of shares may exceed one by a rounding, and a cost may not be negative.
    return stats.frequency.clamp(std::max(min_frequency_, seen_once), 1.0).log2().neg().clamp_min(0);
  }

 private:
  double min_frequency_ = 1e-6;
};

REGULON_FEATURE_COST(Bits, "bits", "-log2(p): the bits that say that a feature is active")
