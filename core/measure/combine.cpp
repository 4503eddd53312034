#include "core/measure/combine.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randperm.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <regulon/error.h>
#include <regulon/step.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/measure/nearest.h"

namespace regulon::core {
namespace {

constexpr std::int64_t kPartners = 32;            ///< remembered of each feature, at most
constexpr std::int64_t kFewestRowsTogether = 10;  ///< below, it may well be chance
constexpr double kNoDirection = 1e-3;             ///< norm of a sum whose parts cancel

std::size_t slot(std::int64_t i) { return static_cast<std::size_t>(i); }

/// One combination that was chosen.
struct Chosen {
  std::vector<std::int64_t> parts;
  double score = 0;
};

/// The rows of the codes, joined: who is active in each row, and in which rows each is.
class Activity {
 public:
  Activity(const std::vector<Codes>& codes, std::int64_t features) : rows_of_(slot(features)) {
    for (const Codes& batch : codes) add(batch);
  }

  /// Calls use(other) for every other feature that is active in a row with `feature`, as often as it is.
  template <class Use>
  void with(std::int64_t feature, Use use) const {
    for (const std::int64_t row : rows_of_[slot(feature)]) {
      for (std::int64_t e = begins_[slot(row)]; e < begins_[slot(row) + 1]; ++e)
        if (active_[slot(e)] != feature) use(active_[slot(e)]);
    }
  }
  double rows(std::int64_t feature) const { return static_cast<double>(rows_of_[slot(feature)].size()); }

 private:
  void add(const Codes& batch) {
    const Codes codes = batch.detach();
    const at::Tensor values = codes.values().to(at::kFloat).contiguous();
    const float* const value = values.const_data_ptr<float>();
    const std::int64_t* const offset = codes.row_offsets().const_data_ptr<std::int64_t>();
    const std::int32_t* const feature = codes.feature_ids().const_data_ptr<std::int32_t>();
    for (std::int64_t row = 0; row < codes.rows(); ++row) {
      for (std::int64_t e = offset[row]; e < offset[row + 1]; ++e) {
        if (!(value[e] > 0)) continue;
        rows_of_[slot(feature[e])].push_back(static_cast<std::int64_t>(begins_.size()) - 1);
        active_.push_back(feature[e]);
      }
      begins_.push_back(static_cast<std::int64_t>(active_.size()));
    }
  }

  std::vector<std::int64_t> begins_ = {0};  ///< [rows + 1]
  std::vector<std::int32_t> active_;        ///< features, row by row
  std::vector<std::vector<std::int64_t>> rows_of_;
};

/// The nearest by cosine, as partners.
Partners nearest_partners(const at::Tensor& directions) {
  const NearestDirections nearest = nearest_directions(directions, directions, kPartners, true);
  const at::Tensor cosines = nearest.cosines.to(at::kDouble).contiguous();
  const std::int64_t count = cosines.size(1);
  Partners found;
  for (std::int64_t i = 0; i <= directions.size(0); ++i) found.offsets.push_back(i * count);
  const auto* const key = nearest.keys.const_data_ptr<std::int64_t>();
  found.other.assign(key, key + cosines.numel());
  found.score.assign(cosines.const_data_ptr<double>(), cosines.const_data_ptr<double>() + cosines.numel());
  return found;
}

/// Chooses combinations from partners, the best pairs first.
class Chooser {
 public:
  Chooser(const Partners& partners, std::vector<bool> usable, std::int64_t of)
      : partners_(partners), usable_(std::move(usable)), of_(of) {}

  std::vector<Chosen> choose(std::int64_t count) {
    std::vector<std::pair<double, std::int64_t>> pairs;  // negative score, place of the pair
    for (std::size_t p = 0; p < partners_.other.size(); ++p)
      pairs.emplace_back(-partners_.score[p], static_cast<std::int64_t>(p));
    std::sort(pairs.begin(), pairs.end());
    std::vector<Chosen> all;
    for (const auto& [negative, place] : pairs) {
      if (static_cast<std::int64_t>(all.size()) == count) break;
      Chosen one{{owner(place), partners_.other[slot(place)]}, -negative};
      if (!complete(one)) continue;
      for (const std::int64_t part : one.parts) usable_[slot(part)] = false;
      std::sort(one.parts.begin(), one.parts.end());
      all.push_back(std::move(one));
    }
    std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.score > b.score; });
    return all;
  }

 private:
  std::int64_t owner(std::int64_t place) const {
    const auto after = std::upper_bound(partners_.offsets.begin(), partners_.offsets.end(), place);
    return after - partners_.offsets.begin() - 1;
  }

  /// Adds to a pair the partners of its first that go best with all; false if it cannot be had.
  bool complete(Chosen& one) const {
    for (const std::int64_t part : one.parts)
      if (!usable_[slot(part)]) return false;
    while (static_cast<std::int64_t>(one.parts.size()) < of_) {
      std::int64_t best = -1;
      double best_score = -std::numeric_limits<double>::infinity();
      const std::int64_t first = one.parts.front();
      for (std::int64_t p = partners_.offsets[slot(first)]; p < partners_.offsets[slot(first) + 1]; ++p) {
        const std::int64_t candidate = partners_.other[slot(p)];
        const double score = usable_[slot(candidate)] ? least_score(candidate, one) : -1e9;
        if (score <= std::max(best_score, -1e8)) continue;
        best = candidate;
        best_score = score;
      }
      if (best < 0) return false;
      one.parts.push_back(best);
      one.score = std::min(one.score, best_score);
    }
    return true;
  }

  /// The least score of `candidate` with one of the parts; far below all if it is no partner of one.
  double least_score(std::int64_t candidate, const Chosen& one) const {
    double least = std::numeric_limits<double>::infinity();
    for (const std::int64_t part : one.parts) {
      const auto begin = partners_.other.begin() + partners_.offsets[slot(part)];
      const auto end = partners_.other.begin() + partners_.offsets[slot(part) + 1];
      const auto found = std::find(begin, end, candidate);
      if (candidate == part || found == end) return -1e9;
      least = std::min(least, partners_.score[slot(found - partners_.other.begin())]);
    }
    return least;
  }

  const Partners& partners_;
  std::vector<bool> usable_;
  std::int64_t of_;
};

std::vector<Chosen> choose_randomly(const std::vector<bool>& usable, const CombineSettings& settings) {
  const auto n = static_cast<std::int64_t>(usable.size());
  const at::Tensor order =
      at::randperm(n, named_generator(settings.seed, "combine"), at::TensorOptions(at::kLong));
  std::vector<Chosen> all;
  Chosen one;
  for (std::int64_t i = 0; i < n && static_cast<std::int64_t>(all.size()) < settings.count; ++i) {
    const std::int64_t id = order.const_data_ptr<std::int64_t>()[i];
    if (!usable[slot(id)]) continue;
    one.parts.push_back(id);
    if (static_cast<std::int64_t>(one.parts.size()) < settings.of) continue;
    std::sort(one.parts.begin(), one.parts.end());
    all.push_back(std::exchange(one, {}));
  }
  return all;
}

void check(const CombineSettings& settings) {
  if (settings.choose == "given") return;
  if (settings.count < 0 || settings.of < 2) {
    throw InputError({"the combinations",
                      "there is nothing to add up",
                      "a count of at least 1 (or 0: up to 100), of at least 2 features",
                      fmt::format("{} of {}", settings.count, settings.of),
                      {}});
  }
}

[[noreturn]] void too_few(const CombineSettings& settings, std::size_t found, std::int64_t features) {
  const char* const why = settings.choose == "coactive"
                              ? "take more rows, fewer combinations, or `--choose random`"
                              : "each feature is in one at most: take fewer combinations";
  throw InputError({fmt::format("combinations of {} {} features", settings.of, settings.choose),
                    "are too few", fmt::format("{} from {} features", settings.count, features),
                    fmt::format("{}", found), why});
}

[[noreturn]] void no_direction(const at::Tensor& parts, const std::string& choose) {
  std::string ids;
  for (std::int64_t k = 0; k < parts.size(0) && parts[k].item<std::int64_t>() >= 0; ++k)
    ids += fmt::format("{}{}", k == 0 ? "" : " + ", parts[k].item<std::int64_t>());
  const char* const cure = choose == "random"  ? "choose by another seed"
                           : choose == "given" ? "leave this combination out"
                                               : "take fewer combinations, or features in each";
  throw InputError({"combination " + ids, "has no direction: its parts are opposite",
                    "parts that add up to something", "a sum of zero", cure});
}

/// Sums of unit rows: what `result` holds of the combinations `all`.
void add_up(const std::vector<Chosen>& all, const at::Tensor& directions, const std::string& choose,
            Combinations& result) {
  const auto count = static_cast<std::int64_t>(all.size());
  std::int64_t of = 0;
  for (const Chosen& one : all) of = std::max(of, std::ssize(one.parts));
  result.parts = at::full({count, of}, -1, at::kLong);
  result.scores = at::empty({count}, at::kDouble);
  for (std::int64_t i = 0; i < count; ++i) {
    std::copy(all[slot(i)].parts.begin(), all[slot(i)].parts.end(),
              result.parts.mutable_data_ptr<std::int64_t>() + i * of);
    result.scores.mutable_data_ptr<double>()[i] = all[slot(i)].score;
  }
  const at::Tensor is_part = (result.parts >= 0).to(at::kDouble);
  const at::Tensor rows = directions.to(at::kDouble).index_select(0, result.parts.clamp_min(0).flatten());
  const at::Tensor sums = (rows.view({count, of, -1}) * is_part.unsqueeze(2)).sum(1);
  const at::Tensor norms = sums.norm(2, 1, true);
  const at::Tensor empty = (norms < kNoDirection).squeeze(1).nonzero();
  if (empty.numel() > 0) no_direction(result.parts[empty[0].item<std::int64_t>()], choose);
  result.weights = (is_part / norms).to(at::kFloat).contiguous();
  const std::int64_t n = directions.size(0);
  result.features = at::cat({directions, (sums / norms).to(at::kFloat)});
  result.combination = at::cat({at::zeros({n}, at::kByte), at::ones({count}, at::kByte)});
}

std::vector<Chosen> chosen_of(const std::vector<std::vector<std::int64_t>>& parts) {
  std::vector<Chosen> all;
  for (const auto& ids : parts) all.push_back({ids, 0});
  return all;
}

}  // namespace

Partners coactive_partners(const std::vector<Codes>& codes, std::int64_t features, std::int64_t most,
                           std::int64_t fewest) {
  const Activity activity(codes, features);
  Partners found;
  found.offsets.push_back(0);
  std::vector<std::int64_t> together(slot(features));
  for (std::int64_t i = 0; i < features; ++i) {
    std::vector<std::int32_t> met;
    activity.with(i, [&](std::int32_t other) {
      if (together[slot(other)]++ == 0) met.push_back(other);
    });
    std::vector<std::pair<double, std::int32_t>> best;  // negative score, then id
    for (const std::int32_t other : met) {
      const std::int64_t rows = std::exchange(together[slot(other)], 0);
      if (rows < fewest) continue;
      best.emplace_back(-static_cast<double>(rows) / std::sqrt(activity.rows(i) * activity.rows(other)),
                        other);
    }
    const std::size_t kept = std::min(best.size(), slot(most));
    std::partial_sort(best.begin(), best.begin() + static_cast<std::ptrdiff_t>(kept), best.end());
    for (std::size_t k = 0; k < kept; ++k) {
      found.other.push_back(best[k].second);
      found.score.push_back(-best[k].first);
    }
    found.offsets.push_back(static_cast<std::int64_t>(found.other.size()));
  }
  return found;
}

Combinations combine_features(const at::Tensor& dictionary, const CombineSettings& asked,
                              const std::vector<Codes>& codes) {
  constexpr std::int64_t kUsualCount = 100;
  const at::NoGradGuard no_grad;
  check(asked);
  CombineSettings settings = asked;
  if (asked.count == 0) settings.count = kUsualCount;
  const at::Tensor directions = unit_directions(dictionary);
  const std::int64_t n = directions.size(0);
  const at::Tensor alive = (directions != 0).any(1);
  std::vector<bool> usable(slot(n));
  for (std::int64_t i = 0; i < n; ++i) usable[slot(i)] = alive.const_data_ptr<bool>()[i];
  std::vector<Chosen> all;
  if (settings.choose == "given") {
    all = chosen_of(settings.parts);
  } else if (settings.choose == "random") {
    all = choose_randomly(usable, settings);
  } else if (n > 1) {
    const Partners partners = settings.choose == "nearest"
                                  ? nearest_partners(directions)
                                  : coactive_partners(codes, n, kPartners, kFewestRowsTogether);
    all = Chooser(partners, usable, settings.of).choose(settings.count);
  }
  const auto found = static_cast<std::int64_t>(all.size());
  if (settings.choose != "given" && found < std::max<std::int64_t>(1, asked.count))
    too_few(settings, all.size(), n);
  Combinations result;
  add_up(all, directions, settings.choose, result);
  return result;
}

}  // namespace regulon::core
