#include <regulon/feature_cost.h>

#include <algorithm>

/// A feature of frequency f costs ln(max(d, 1/f)): the length of a code word for it, but never less than one
/// of d equally frequent features would need, so that common features are cheap to combine. The formula is
/// this project's own proposal; no published penalty of this form is known.
///
/// Two floors under f keep the cost of rare features defined. `min_frequency` caps it, since a cost that
/// grows without end would drive a rare feature to its death. And N rows cannot show a frequency below 1/N:
/// early on, a feature not seen yet counts as seen once.
class LogRarity final : public regulon::FeatureCost {
 public:
  static void declare(regulon::Declaration<LogRarity>& d) {
    d.param("min_frequency", &LogRarity::min_frequency_)
        .above(0)
        .at_most(1)
        .unit("share of rows")
        .doc("rarer features cost no more than one of this frequency");
  }

  at::Tensor cost(const regulon::FeatureStats& stats, const regulon::Dictionary&) override {
    const double seen_once = 1.0 / static_cast<double>(std::max<std::int64_t>(stats.rows_seen, 1));
    const at::Tensor frequency = stats.frequency.clamp_min(std::max(min_frequency_, seen_once));
    return frequency.reciprocal().clamp_min(static_cast<double>(stats.width)).log();
  }

 private:
  double min_frequency_ = 1e-6;
};

REGULON_FEATURE_COST(LogRarity, "log_rarity",
                     "ln(max(d, 1/f)): rare features cost their code length, common ones ln d")
