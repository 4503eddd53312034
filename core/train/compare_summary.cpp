#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/train/compare.h"

namespace regulon::core {
namespace {

constexpr double kMostly = 0.75;      ///< share of them from which dictionaries are mostly the same
constexpr double kPartly = 0.4;       ///< likewise, partly
constexpr double kOverChance = 0.05;  ///< mean cosine above that of random directions, to mean anything
constexpr double kEqual = 0.02;       ///< figures that differ by less, as a share, count as equal
constexpr double kSameRows = 0.8;     ///< correlation of losses
constexpr double kOtherRows = 0.5;

double partners(const DictionaryComparison& features) {
  for (const auto& [cosine, share] : features.matched_share)
    if (cosine == kPartnerCosine) return share;
  return 0;
}

/// "mostly" or "partly": where one dictionary is much wider, only the narrower can be in the other.
std::string shared_features(const DictionaryComparison& features, const char* how) {
  const bool a_narrower = features.features_a < features.features_b;
  const auto [fewer, more] = std::minmax(features.features_a, features.features_b);
  if (static_cast<double>(fewer) >= kMostly * static_cast<double>(more))
    return fmt::format("{} the same features", how);
  return fmt::format("features of which {}'s {} are {} among {}'s {}", a_narrower ? "A" : "B", fewer, how,
                     a_narrower ? "B" : "A", more);
}

std::string about_features(const DictionaryComparison& features, bool alive) {
  const double same = partners(features);
  const double over = std::max(features.mmcs_a - features.random_a, features.mmcs_b - features.random_b);
  std::string verdict = "mostly different features";
  if (over < kOverChance) {
    verdict = "features that are no more alike than random directions";
  } else if (same >= kMostly) {
    verdict = shared_features(features, "mostly");
  } else if (same >= kPartly) {
    verdict = shared_features(features, "partly");
  }
  const auto pairs = static_cast<double>(features.matching.pairs);
  return fmt::format(
      "They have {}: of {} pairs of {}features matched one to one, {:.0f} ({:.0f}%) have a cosine of at "
      "least {}. "
      "The mean cosine of a feature with its nearest in the other run is {:.2f} from A and {:.2f} from B; of "
      "random "
      "directions it is {:.2f}.",
      verdict, features.matching.pairs, alive ? "active " : "", same * pairs, 100 * same, kPartnerCosine,
      features.mmcs_a, features.mmcs_b, std::max(features.random_a, features.random_b));
}

std::string about_sums(const Arithmetic& sums, const char* whose, const char* others) {
  return fmt::format(
      "Of {}'s features {:.1f}% are one feature of {}, and {:.1f}% more are a sum of 2 to {} of them (to a "
      "cosine of 0.9).",
      whose, 100 * sums.same, others, 100 * sums.combined, sums.most_parts);
}

/// Below zero: `a` is less than `b` by more than what counts as equal.
int compared(double a, double b) {
  if (std::abs(a - b) <= kEqual * std::max(std::abs(a), std::abs(b))) return 0;
  return a < b ? -1 : 1;
}

std::string about_reconstruction(const Evaluation& a, const Evaluation& b) {
  const int error = compared(a.fvu, b.fvu);
  const int active = compared(a.l0, b.l0);
  const std::string figures = fmt::format(
      "A leaves {:.4g}% of the variance with {:.4g} active features a row, "
      "B {:.4g}% with {:.4g}.",
      100 * a.fvu, a.l0, 100 * b.fvu, b.l0);
  if (error == 0 && active == 0) return "They rebuild the rows alike: " + figures;
  if (error <= 0 && active <= 0) return "A rebuilds the rows better: " + figures;
  if (error >= 0 && active >= 0) return "B rebuilds the rows better: " + figures;
  return fmt::format("{} rebuilds the rows better, but with more active features: {} Compare at equal L0.",
                     error < 0 ? "A" : "B", figures);
}

std::string about_rows(const LossComparison& losses) {
  if (!losses.correlation) {
    return "For one of them at least, all rows are equally hard: their losses have no correlation.";
  }
  const double correlation = *losses.correlation;
  const char* const verdict = correlation >= kSameRows    ? "The same rows are hard for both"
                              : correlation >= kOtherRows ? "Mostly the same rows are hard for both"
                                                          : "They fail on different rows";
  return fmt::format("{}: their losses have a correlation of {:.2f}.", verdict, correlation);
}

}  // namespace

std::vector<std::string> conclusions(const RunComparison& comparison) {
  std::vector<std::string> said;
  if (comparison.other_data) {
    said.emplace_back(
        "They were trained on different data, so that neither features nor reconstruction need agree. A toy "
        "of "
        "another seed has other true features: `regulon data` writes one that several runs can share.");
  }
  said.push_back(
      about_features(comparison.alive ? *comparison.alive : comparison.all, comparison.alive.has_value()));
  if (comparison.a_from_b) said.push_back(about_sums(*comparison.a_from_b, "A", "B"));
  if (comparison.b_from_a) said.push_back(about_sums(*comparison.b_from_a, "B", "A"));
  if (!comparison.rows) {
    said.emplace_back(
        "No rows were looked at: nothing is known of their reconstruction, or of which features "
        "are ever active.");
    return said;
  }
  const Evaluation& a = comparison.rows->a;
  const Evaluation& b = comparison.rows->b;
  for (const auto& [name, evaluation] : {std::pair("A", a), std::pair("B", b)}) {
    if (evaluation.unused_share == 1) {
      said.emplace_back(
          fmt::format("No feature of {} is active on these rows: all features are compared.", name));
    }
  }
  said.push_back(about_reconstruction(a, b));
  if (comparison.rows->losses.a.rows > 1) said.push_back(about_rows(comparison.rows->losses));
  return said;
}

}  // namespace regulon::core
