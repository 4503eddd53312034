#include "core/measure/known_features.h"

#include <ATen/ops/matmul.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <regulon/error.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "core/measure/matching.h"
#include "core/measure/nearest.h"

namespace regulon::core {
namespace {

bool is_composed(const at::TensorAccessor<float, 1>& cosines, const at::TensorAccessor<float, 2>& between,
                 double limit) {
  std::int64_t best = 0;
  for (std::int64_t t = 1; t < cosines.size(0); ++t) {
    if (std::abs(cosines[t]) > std::abs(cosines[best])) best = t;
  }
  for (std::int64_t t = 0; t < cosines.size(0); ++t) {
    if (t != best && std::abs(cosines[t] - cosines[best] * between[best][t]) > limit) return true;
  }
  return false;
}

/// MCC and uniqueness.
void match_all(KnownFeatures& known, const at::Tensor& learnt, const at::Tensor& truth) {
  MatchSettings settings;
  settings.absolute = true;
  known.mcc = match_directions(learnt, truth, settings).mean;
  if (known.cosines.numel() == 0) return;
  const at::Tensor nearest = known.cosines.abs().argmax(1).contiguous();
  const std::int64_t* const id = nearest.const_data_ptr<std::int64_t>();
  const std::set<std::int64_t> different(id, id + nearest.numel());
  known.uniqueness = static_cast<double>(different.size()) / static_cast<double>(nearest.numel());
}

}  // namespace

KnownFeatures compare_with_known(const at::Tensor& dictionary, const at::Tensor& truth,
                                 const at::Tensor& frequency, const KnownFeatureLimits& limits) {
  const at::NoGradGuard no_grad;
  if (truth.dim() != 2 || dictionary.size(1) != truth.size(1)) {
    throw InputError({"true features", "their width is not the dictionary's",
                      fmt::format("{}", dictionary.size(1)), fmt::format("{}", truth.size(1)),
                      "use the features of the data that the run was trained on"});
  }
  KnownFeatures known;
  const at::Tensor true_rows = unit_directions(truth);
  const at::Tensor learnt_rows = unit_directions(dictionary);
  known.cosines = at::matmul(learnt_rows, true_rows.t()).contiguous();
  match_all(known, learnt_rows, true_rows);
  const at::Tensor between = at::matmul(true_rows, true_rows.t()).contiguous();
  const auto common = between.accessor<float, 2>();
  const auto cosines = known.cosines.accessor<float, 2>();
  const at::Tensor alive = (frequency > 0).to(at::kByte).contiguous();
  const auto* is_alive = alive.const_data_ptr<std::uint8_t>();
  for (std::int64_t i = 0; i < dictionary.size(0); ++i) {
    if (is_alive[i] == 0) continue;
    known.alive.push_back(i);
    if (is_composed(cosines[i], common, limits.composed)) known.composed.push_back(i);
  }
  for (std::int64_t t = 0; t < truth.size(0); ++t) {
    double best = 0;
    for (const std::int64_t i : known.alive) best = std::max(best, static_cast<double>(cosines[i][t]));
    (best >= limits.found ? known.found : known.missed).push_back(t);
    known.mean_best += best / static_cast<double>(truth.size(0));
  }
  return known;
}

nlohmann::json to_json(const KnownFeatures& known) {
  return {{"alive", known.alive.size()},   {"found", known.found},         {"missed", known.missed},
          {"composed", known.composed},    {"mean_best", known.mean_best}, {"mcc", known.mcc},
          {"uniqueness", known.uniqueness}};
}

std::vector<std::int64_t> reading_order(const KnownFeatures& known) {
  const auto cosines = known.cosines.accessor<float, 2>();
  const std::int64_t truths = known.cosines.size(1);
  const auto nearest = [&](std::int64_t i) {
    std::int64_t best = 0;
    for (std::int64_t t = 1; t < truths; ++t) best = cosines[i][t] > cosines[i][best] ? t : best;
    return best;
  };
  std::vector<std::int64_t> order = known.alive;
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    const std::int64_t near_a = nearest(a);
    const std::int64_t near_b = nearest(b);
    return near_a != near_b ? near_a < near_b : cosines[a][near_a] > cosines[b][near_b];
  });
  std::vector<bool> placed(static_cast<std::size_t>(known.cosines.size(0)));
  for (const std::int64_t i : order) placed[static_cast<std::size_t>(i)] = true;
  for (std::int64_t i = 0; i < known.cosines.size(0); ++i) {
    if (!placed[static_cast<std::size_t>(i)]) order.push_back(i);
  }
  return order;
}

}  // namespace regulon::core
