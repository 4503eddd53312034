#include "core/measure/absorption.h"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <regulon/error.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/measure/nearest.h"

namespace regulon::core {
namespace {

at::Tensor row_cosines(const at::Tensor& x, const at::Tensor& y) { return (x * y).sum(1); }

/// The first `count` features in ascending order of `key`.
at::Tensor lowest_first(const at::Tensor& key, std::int64_t count) {
  return key.argsort(/*stable=*/true, 0, /*descending=*/false).narrow(0, 0, std::min(count, key.size(0)));
}

void describe_own(Absorption& result, std::int64_t named) {
  result.mean_own = result.own.mean().item<double>();
  result.low_own = result.own.to(at::kDouble).quantile(0.1).item<double>();
  result.histogram = cosine_histogram(result.own);
  const at::Tensor order = lowest_first(result.own, named);
  for (std::int64_t i = 0; i < order.size(0); ++i) {
    const auto feature = order[i].item<std::int64_t>();
    result.lowest.emplace_back(result.ids[feature].item<std::int64_t>(), result.own[feature].item<double>());
  }
}

void describe_pairs(Absorption& result, std::int64_t named) {
  result.apart = (result.turned < 0).to(at::kDouble).mean().item<double>();
  // Features that are each other's nearest make one pair: of the two, the encoder that turns away further.
  const at::Tensor order = lowest_first(result.encoder - result.decoder, 2 * named);
  for (std::int64_t i = 0; i < order.size(0); ++i) {
    const auto place = order[i].item<std::int64_t>();
    const FeaturePair pair{result.ids[place].item<std::int64_t>(), result.other[place].item<std::int64_t>(),
                           result.decoder[place].item<double>(), result.encoder[place].item<double>(),
                           result.turned[place].item<double>()};
    const auto turned_round =
        std::find_if(result.pairs.begin(), result.pairs.end(), [&](const FeaturePair& listed) {
          return listed.feature == pair.other && listed.other == pair.feature;
        });
    if (turned_round == result.pairs.end()) {
      if (static_cast<std::int64_t>(result.pairs.size()) < named) result.pairs.push_back(pair);
    } else if (pair.turned < turned_round->turned) {
      *turned_round = pair;
    }
  }
}

}  // namespace

Absorption absorption_signs(const at::Tensor& encoder, const at::Tensor& decoder, const at::Tensor& ids,
                            std::int64_t named) {
  const at::NoGradGuard no_grad;
  if (ids.size(0) == 0) {
    throw InputError({"the run", "has no feature to look at", "a feature that is active on the rows", "none",
                      "measure on other rows, or a run that learnt something"});
  }
  const at::Tensor reads = unit_directions(encoder.index_select(0, ids));
  const at::Tensor writes = unit_directions(decoder.index_select(0, ids));
  Absorption result;
  result.ids = ids;
  result.own = row_cosines(reads, writes);
  describe_own(result, named);
  if (ids.size(0) < 2) {  // no other feature
    result.other = at::full({ids.size(0)}, -1, at::kLong);
    result.decoder = result.encoder = result.turned = at::zeros_like(result.own);
    return result;
  }
  const NearestDirections nearest = nearest_directions(writes, writes, 1, true);
  const at::Tensor other = nearest.keys.select(1, 0);
  result.decoder = nearest.cosines.select(1, 0);
  result.encoder = row_cosines(reads, reads.index_select(0, other));
  result.turned = row_cosines(reads, writes.index_select(0, other));
  result.other = ids.index({other});
  describe_pairs(result, named);
  return result;
}

nlohmann::json to_json(const Absorption& absorption) {
  nlohmann::json lowest = nlohmann::json::array();
  for (const auto& [feature, cosine] : absorption.lowest)
    lowest.push_back({{"feature", feature}, {"cosine", cosine}});
  nlohmann::json pairs = nlohmann::json::array();
  for (const FeaturePair& pair : absorption.pairs) {
    pairs.push_back({{"feature", pair.feature},
                     {"other", pair.other},
                     {"decoder", pair.decoder},
                     {"encoder", pair.encoder},
                     {"turned", pair.turned}});
  }
  return {{"features", absorption.ids.size(0)},
          {"own_cosine", {{"mean", absorption.mean_own}, {"tenth", absorption.low_own}}},
          {"histogram", absorption.histogram},
          {"histogram_bins", cosine_bins()},
          {"lowest", lowest},
          {"turned_away_share", absorption.apart},
          {"pairs", pairs}};
}

NamedTensors absorption_table(const Absorption& absorption) {
  return {{"ids", absorption.ids},         {"own", absorption.own},         {"other", absorption.other},
          {"decoder", absorption.decoder}, {"encoder", absorption.encoder}, {"turned", absorption.turned}};
}

}  // namespace regulon::core
