#include "core/measure/known_features.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <regulon/error.h>
#include <regulon/matching.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "core/measure/nearest.h"

namespace regulon::core {
namespace {

constexpr double kBelowAnyCosine = -2;

/// Which rows of a block of cosines [rows, n_true] are combinations: beside the true feature of the highest
/// |cosine| another one has some that the first does not explain.
at::Tensor composed_rows(const at::Tensor& block, const at::Tensor& matched, const at::Tensor& truth,
                         double limit) {
  const at::Tensor own = matched.unsqueeze(1);
  const at::Tensor common = at::mm(truth.index_select(0, matched), truth.t());
  const at::Tensor rest = (block - common.mul_(block.gather(1, own))).abs_().scatter_(1, own, 0);
  return (rest > limit).any(1);
}

void require_rows(const at::Tensor& dictionary, const at::Tensor& truth) {
  if (truth.dim() != 2 || dictionary.size(1) != truth.size(1)) {
    throw InputError({"true features", "their width is not the dictionary's",
                      fmt::format("{}", dictionary.size(1)),
                      fmt::format("[{}]", fmt::join(truth.sizes(), ", ")),
                      "use the features of the data that the run was trained on"});
  }
  if (truth.size(0) == 0 || dictionary.size(0) == 0) {
    throw InputError({"true features", "there is nothing to compare", "rows of both",
                      fmt::format("{} learnt, {} true", dictionary.size(0), truth.size(0)),
                      "give the features that the data are made of"});
  }
}

/// What is not a number is nobody's nearest. A row of zeros may be: nothing finds it.
void require_finite(const at::Tensor& truth) {
  const at::Tensor bad = at::isfinite(truth).all(1).logical_not().nonzero();
  if (bad.size(0) == 0) return;
  throw InputError({"true features", fmt::format("row {} is not finite", bad[0].item<std::int64_t>()),
                    "finite numbers", fmt::format("infinity or NaN in {} rows", bad.size(0)),
                    "leave these rows out"});
}

/// Takes a block's best learnt directions, where they are better than those so far.
void keep_best(const at::Tensor& block, std::int64_t first, KnownDirections& found) {
  const auto [cosines, ids] = block.max(0);
  const at::Tensor better = cosines > found.best_cosine;
  found.best = at::where(better, ids + first, found.best);
  found.best_cosine = at::where(better, cosines, found.best_cosine);
}

/// The best alive directions of the true features whose best one of all is silent.
void look_again(KnownDirections& directions, const at::Tensor& alive) {
  const at::Tensor lost = alive.index({directions.best}).logical_not().nonzero().squeeze(1);
  if (lost.size(0) == 0) return;
  const at::Tensor ids = alive.nonzero().squeeze(1);
  at::Tensor best = at::full({lost.size(0)}, -1, at::kLong);
  at::Tensor cosines = at::zeros({lost.size(0)}, at::kFloat);
  if (ids.size(0) > 0) {
    const auto found = nearest_directions(unit_directions(directions.truth.index_select(0, lost)),
                                          unit_directions(directions.learnt.index_select(0, ids)), 1);
    best = ids.index({found.keys.squeeze(1)});
    cosines = found.cosines.squeeze(1);
  }
  directions.best.index_put_({lost}, best);
  directions.best_cosine.index_put_({lost}, cosines);
}

/// MCC and uniqueness.
void match_all(KnownFeatures& known) {
  ops::MatchSettings settings;
  settings.absolute = true;
  const KnownDirections& of = known.directions;
  known.mcc = ops::match_rows(unit_directions(of.learnt), unit_directions(of.truth), settings).mean;
  const std::int64_t* const id = of.matched.const_data_ptr<std::int64_t>();
  const std::set<std::int64_t> different(id, id + of.matched.numel());
  known.uniqueness = static_cast<double>(different.size()) / static_cast<double>(of.matched.numel());
}

std::vector<std::int64_t> ids_where(const at::Tensor& mask) {
  const at::Tensor ids = mask.nonzero().squeeze(1).contiguous();
  const auto* const id = ids.const_data_ptr<std::int64_t>();
  return {id, id + ids.numel()};
}

at::Tensor id_tensor(const std::vector<std::int64_t>& ids) { return at::tensor(ids, at::kLong); }

}  // namespace

KnownDirections known_directions(const at::Tensor& dictionary, const at::Tensor& truth,
                                 const KnownFeatureLimits& limits) {
  const at::NoGradGuard no_grad;
  require_rows(dictionary, truth);
  require_finite(truth);
  KnownDirections found;
  found.learnt = dictionary.detach();
  found.truth = truth.detach();
  found.best = at::full({truth.size(0)}, -1, at::kLong);
  found.best_cosine = at::full({truth.size(0)}, kBelowAnyCosine, at::kFloat);
  const at::Tensor true_rows = unit_directions(truth);
  std::vector<at::Tensor> nearest;
  std::vector<at::Tensor> cosines;
  std::vector<at::Tensor> matched;
  std::vector<at::Tensor> composed;
  for_cosine_blocks(unit_directions(dictionary), true_rows, [&](std::int64_t first, at::Tensor& block) {
    auto [highest, id] = block.max(1);
    cosines.push_back(std::move(highest));
    nearest.push_back(std::move(id));
    matched.push_back(block.abs().argmax(1));
    composed.push_back(composed_rows(block, matched.back(), true_rows, limits.composed));
    keep_best(block, first, found);
  });
  found.nearest = at::cat(nearest);
  found.nearest_cosine = at::cat(cosines);
  found.matched = at::cat(matched).contiguous();
  found.composed = at::cat(composed);
  return found;
}

KnownFeatures compare_with_known(KnownDirections directions, const at::Tensor& frequency,
                                 const KnownFeatureLimits& limits) {
  const at::NoGradGuard no_grad;
  KnownFeatures known;
  known.directions = std::move(directions);
  KnownDirections& of = known.directions;
  const at::Tensor alive = frequency > 0;
  known.alive = ids_where(alive);
  known.composed = ids_where(alive & of.composed);
  of.best = of.best.clone();
  of.best_cosine = of.best_cosine.clone();
  look_again(of, alive);
  const auto best = of.best_cosine.accessor<float, 1>();
  for (std::int64_t t = 0; t < known.truths(); ++t) {
    const double cosine = std::max(0.0, static_cast<double>(best[t]));
    (cosine >= limits.found ? known.found : known.missed).push_back(t);
    known.mean_best += cosine / static_cast<double>(known.truths());
  }
  match_all(known);
  return known;
}

at::Tensor known_cosines(const KnownFeatures& known, const std::vector<std::int64_t>& learnt,
                         const std::vector<std::int64_t>& truth) {
  const at::NoGradGuard no_grad;
  return at::mm(unit_directions(known.directions.learnt.index_select(0, id_tensor(learnt))),
                unit_directions(known.directions.truth.index_select(0, id_tensor(truth))).t())
      .contiguous();
}

at::Tensor known_cosines(const KnownFeatures& known) {
  const at::NoGradGuard no_grad;
  return at::mm(unit_directions(known.directions.learnt), unit_directions(known.directions.truth).t())
      .contiguous();
}

nlohmann::json to_json(const KnownFeatures& known) {
  return {{"alive", known.alive.size()},   {"found", known.found},         {"missed", known.missed},
          {"composed", known.composed},    {"mean_best", known.mean_best}, {"mcc", known.mcc},
          {"uniqueness", known.uniqueness}};
}

NamedTensors known_table(const KnownFeatures& known) {
  const KnownDirections& of = known.directions;
  NamedTensors table = {{"known.nearest", of.nearest}, {"known.nearest_cosine", of.nearest_cosine},
                        {"known.matched", of.matched}, {"known.composed", of.composed.to(at::kLong)},
                        {"known.best", of.best},       {"known.best_cosine", of.best_cosine}};
  if (known.features() * known.truths() <= kTableCosines)
    table.emplace_back("known.cosines", known_cosines(known));
  return table;
}

std::vector<std::int64_t> reading_order(const KnownFeatures& known) {
  const auto nearest = known.directions.nearest.accessor<std::int64_t, 1>();
  const auto cosine = known.directions.nearest_cosine.accessor<float, 1>();
  std::vector<std::int64_t> order = known.alive;
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return nearest[a] != nearest[b] ? nearest[a] < nearest[b] : cosine[a] > cosine[b];
  });
  std::vector<bool> placed(static_cast<std::size_t>(known.features()));
  for (const std::int64_t i : order) placed[static_cast<std::size_t>(i)] = true;
  for (std::int64_t i = 0; i < known.features(); ++i) {
    if (!placed[static_cast<std::size_t>(i)]) order.push_back(i);
  }
  return order;
}

}  // namespace regulon::core
