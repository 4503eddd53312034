#include "core/cli/feature_tables.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace regulon::cli {
namespace {

constexpr std::int64_t kShownFeatures = 20;

double frequency_of(const at::Tensor& frequency, std::int64_t feature) {
  return frequency[feature].item<double>();
}

std::string rows_of_feature(const core::FeatureRows& found, std::int64_t feature,
                            const core::Vocabulary& words) {
  std::vector<std::string> texts;
  for (std::int64_t i = 0; i < found.rows.size(1); ++i) {
    const auto row = found.rows[feature][i].item<std::int64_t>();
    if (row < 0) break;
    const double value = found.values[feature][i].item<double>();
    const std::string name = found.labels.defined()
                                 ? words.text(found.labels[feature][i].item<std::int64_t>())
                                 : fmt::format("row {}", row);
    texts.push_back(fmt::format("{} {:.3g}", name, value));
  }
  return fmt::format("{}", fmt::join(texts, ", "));
}

}  // namespace

void print_absorption(const core::Absorption& found, const at::Tensor& frequency) {
  fmt::print("Encoder directions against decoder rows, of {} active features\n", found.ids.size(0));
  fmt::print("cosine with their own     mean {:.4f}, a tenth below {:.4f}\n", found.mean_own, found.low_own);
  fmt::print("lowest                   ");
  for (const auto& [feature, cosine] : found.lowest)
    fmt::print(" {} ({:.3f}, active in {:.2g}%)", feature, cosine, 100 * frequency_of(frequency, feature));
  fmt::print("\nencoders that turn away from the feature whose decoder row is nearest: {:.1f}%\n",
             100 * found.apart);
  if (found.pairs.empty()) return;
  fmt::print("\nPairs whose decoder rows are nearest and whose encoders are furthest apart (cosines)\n");
  fmt::print("{:>9}{:>9}{:>10}{:>10}{:>20}{:>11}{:>11}\n", "feature", "other", "decoders", "encoders",
             "encoder, other row", "active", "other");
  for (const core::FeaturePair& pair : found.pairs) {
    fmt::print("{:>9}{:>9}{:>10.3f}{:>10.3f}{:>20.3f}{:>10.3g}%{:>10.3g}%\n", pair.feature, pair.other,
               pair.decoder, pair.encoder, pair.turned, 100 * frequency_of(frequency, pair.feature),
               100 * frequency_of(frequency, pair.other));
  }
  fmt::print(
      "A frequent feature that turns away (below zero) from a rare one with a near decoder row may be "
      "absorbed by "
      "it:\nit is silent where the rare one is active, whose decoder row stands for both.\n");
}

void print_feature_rows(const core::FeatureRows& found, const core::Vocabulary& words) {
  const auto alive = (found.frequency > 0).sum().item<std::int64_t>();
  const at::Tensor order = found.frequency.argsort(/*stable=*/true, 0, /*descending=*/true);
  const std::int64_t shown = std::min(kShownFeatures, alive);
  fmt::print(
      "{} of {} active features, from the most frequent to the rarest, with the rows where they are "
      "strongest\n",
      shown, alive);
  fmt::print("{:>9}{:>10}  {}\n", "feature", "active", "rows and values");
  for (std::int64_t i = 0; i < shown; ++i) {
    const auto feature = order[i * alive / shown].item<std::int64_t>();
    fmt::print("{:>9}{:>9.3g}%  {}\n", feature, 100 * frequency_of(found.frequency, feature),
               rows_of_feature(found, feature, words));
  }
  if (alive > shown) fmt::print("All of them: --table FILE\n");
}

}  // namespace regulon::cli
