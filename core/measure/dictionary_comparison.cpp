#include "core/measure/dictionary_comparison.h"

#include <ATen/ops/randn.h>
#include <ATen/ops/where.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <regulon/error.h>
#include <regulon/step.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/measure/nearest.h"

namespace regulon::core {
namespace {

constexpr double kChance = 0.99;
constexpr double kMatchedAt[] = {0.5, kPartnerCosine, 0.8, 0.9, 0.95};

double mean_of(const at::Tensor& values) { return values.to(at::kDouble).mean().item<double>(); }

/// The directions of a dictionary: which features they are of, and how many have none.
struct Directions {
  at::Tensor rows;  ///< [n, d], of length one
  at::Tensor ids;   ///< [n]
  std::int64_t zero = 0;
};

Directions directions_of(const at::Tensor& rows, const char* name) {
  if (!rows.isfinite().all().item<bool>()) {
    throw InputError({name, "has decoder rows that are not finite", "numbers", "NaN or infinity",
                      "take an earlier checkpoint, or train it again"});
  }
  const at::Tensor has = rows.ne(0).any(1);
  Directions result;
  result.ids = has.nonzero().squeeze(1);
  result.rows = unit_directions(rows.index_select(0, result.ids));
  result.zero = rows.size(0) - result.ids.size(0);
  if (result.rows.size(0) == 0) {
    throw InputError({name, "has no direction to compare", "a decoder row that is not zero",
                      fmt::format("{} rows, all zero", rows.size(0)), "compare runs that learnt something"});
  }
  return result;
}

RankCosines rank_cosines(const at::Tensor& cosines, std::int64_t rank) {
  RankCosines result;
  result.rank = rank;
  const at::Tensor values = std::get<0>(cosines.select(1, rank - 1).sort()).to(at::kDouble).contiguous();
  const double* const value = values.const_data_ptr<double>();
  result.mean = values.mean().item<double>();
  const auto last = static_cast<double>(values.size(0) - 1);
  const auto at_share = [&](double share) { return value[static_cast<std::int64_t>(share * last + 0.5)]; };
  result.low = at_share(0.1);
  result.high = at_share(0.9);
  result.histogram = cosine_histogram(values);
  return result;
}

NearestCosines by_rank(const std::string& name, const at::Tensor& cosines,
                       const std::vector<std::int64_t>& ranks) {
  NearestCosines result{name, {}};
  for (const std::int64_t rank : ranks)
    if (rank <= cosines.size(1)) result.ranks.push_back(rank_cosines(cosines, rank));
  return result;
}

/// How many different entries the first column has, over its length.
double uniqueness(const NearestDirections& nearest) {
  const at::Tensor ids = std::get<0>(nearest.keys.select(1, 0).sort());
  const auto different = (ids.diff() != 0).sum().item<std::int64_t>() + 1;
  return static_cast<double>(different) / static_cast<double>(ids.size(0));
}

at::Tensor random_directions(std::int64_t count, std::int64_t width, std::uint64_t seed, const char* name) {
  return unit_directions(
      at::randn({count, width}, named_generator(seed, name), at::TensorOptions(at::kFloat)));
}

/// What one side looks like from the other.
struct Side {
  NearestDirections nearest;
  double mmcs = 0;
  double random = 0;
  double unique = 0;
  double chance = 0;
  double by_chance = 0;
};

class Comparing {
 public:
  Comparing(const Directions& a, const Directions& b, const ComparisonSettings& settings)
      : a_(a), b_(b), settings_(settings) {
    most_ = *std::max_element(settings.ranks.begin(), settings.ranks.end());
  }

  DictionaryComparison compare() {
    const Side a = look(a_.rows, b_.rows, "a_in_b", "random_in_b");
    const Side b = look(b_.rows, a_.rows, "b_in_a", "random_in_a");
    for (const auto& [name, rows] : {std::pair("a_in_a", a_.rows), std::pair("b_in_b", b_.rows)}) {
      result_.nearest.push_back(by_rank(name, nearest_others(rows), settings_.ranks));
    }
    result_.matching = ops::match_rows(a_.rows, b_.rows, settings_.matching);
    fill(a, b);
    return std::move(result_);
  }

 private:
  /// Cosines of directions with their nearest others of the same side.
  at::Tensor nearest_others(const at::Tensor& rows) const {
    if (rows.size(0) <= settings_.own_rows) return nearest_directions(rows, rows, most_, true).cosines;
    const std::int64_t stride = (rows.size(0) + settings_.own_rows - 1) / settings_.own_rows;
    // Of each row's nearest the first is the row itself, or its equal.
    const at::Tensor found =
        nearest_directions(rows.slice(0, 0, rows.size(0), stride), rows, most_ + 1).cosines;
    return found.narrow(1, 1, found.size(1) - 1);
  }

  Side look(const at::Tensor& rows, const at::Tensor& among, const char* name, const char* random_name) {
    Side side;
    side.nearest = nearest_directions(rows, among, most_);
    result_.nearest.push_back(by_rank(name, side.nearest.cosines, settings_.ranks));
    const at::Tensor queries =
        random_directions(settings_.random_rows, rows.size(1), settings_.seed, "compare.queries");
    const at::Tensor keys =
        random_directions(among.size(0), rows.size(1), settings_.seed, "compare.directions");
    const at::Tensor random = nearest_directions(queries, keys, most_).cosines;
    result_.nearest.push_back(by_rank(random_name, random, settings_.ranks));
    const at::Tensor best = side.nearest.cosines.select(1, 0);
    side.mmcs = mean_of(best);
    side.random = mean_of(random.select(1, 0));
    side.unique = uniqueness(side.nearest);
    side.chance = random.select(1, 0).to(at::kDouble).quantile(kChance).item<double>();
    side.by_chance = mean_of(best <= side.chance);
    return side;
  }

  void fill(const Side& a, const Side& b) {
    result_.features_a = a_.rows.size(0);
    result_.features_b = b_.rows.size(0);
    result_.zero_a = a_.zero;
    result_.zero_b = b_.zero;
    result_.mmcs_a = a.mmcs;
    result_.mmcs_b = b.mmcs;
    result_.random_a = a.random;
    result_.random_b = b.random;
    result_.unique_a = a.unique;
    result_.unique_b = b.unique;
    result_.chance_a = a.chance;
    result_.chance_b = b.chance;
    result_.by_chance_a = a.by_chance;
    result_.by_chance_b = b.by_chance;
    result_.ids_a = a_.ids;
    result_.ids_b = b_.ids;
    result_.nearest_a = a.nearest.cosines;
    result_.nearest_b = b.nearest.cosines;
    result_.nearest_ids_a = b_.ids.index({a.nearest.keys});
    result_.nearest_ids_b = a_.ids.index({b.nearest.keys});
    for (const double cosine : kMatchedAt) {
      const auto enough = (result_.matching.cosine >= cosine).sum().item<double>();
      result_.matched_share.emplace_back(cosine, enough / static_cast<double>(result_.matching.pairs));
    }
  }

  const Directions& a_;
  const Directions& b_;
  const ComparisonSettings& settings_;
  std::int64_t most_ = 1;
  DictionaryComparison result_;
};

nlohmann::json ranks_json(const NearestCosines& nearest) {
  nlohmann::json ranks = nlohmann::json::array();
  for (const RankCosines& one : nearest.ranks) {
    ranks.push_back({{"rank", one.rank},
                     {"mean", one.mean},
                     {"tenth", one.low},
                     {"nine_tenths", one.high},
                     {"histogram", one.histogram}});
  }
  return ranks;
}

}  // namespace

DictionaryComparison compare_dictionaries(const at::Tensor& a, const at::Tensor& b,
                                          const ComparisonSettings& settings) {
  const at::NoGradGuard no_grad;
  if (a.size(1) != b.size(1)) {
    throw InputError({"A and B", "their rows are of different widths",
                      fmt::format("width {}, as A", a.size(1)), fmt::format("width {} of B", b.size(1)),
                      "compare runs on activations of the same model and layer"});
  }
  const Directions of_a = directions_of(a.detach(), "A");
  const Directions of_b = directions_of(b.detach(), "B");
  return Comparing(of_a, of_b, settings).compare();
}

nlohmann::json to_json(const DictionaryComparison& comparison) {
  const auto side = [](std::int64_t features, std::int64_t zero, double mmcs, double random, double unique,
                       double chance, double by_chance) {
    return nlohmann::json{{"features", features},        {"zero_rows", zero},    {"mmcs", mmcs},
                          {"mmcs_random", random},       {"uniqueness", unique}, {"chance_cosine", chance},
                          {"share_by_chance", by_chance}};
  };
  const DictionaryComparison& c = comparison;
  nlohmann::json shares = nlohmann::json::array();
  for (const auto& [cosine, share] : c.matched_share)
    shares.push_back({{"cosine", cosine}, {"share", share}});
  nlohmann::json nearest;
  for (const NearestCosines& one : c.nearest) nearest[one.name] = ranks_json(one);
  return {{"a", side(c.features_a, c.zero_a, c.mmcs_a, c.random_a, c.unique_a, c.chance_a, c.by_chance_a)},
          {"b", side(c.features_b, c.zero_b, c.mmcs_b, c.random_b, c.unique_b, c.chance_b, c.by_chance_b)},
          {"mcc", c.matching.mean},
          {"mcc_at_most", c.matching.at_most},
          {"mcc_exact", c.matching.exact},
          {"matched_pairs", c.matching.pairs},
          {"matched_share", shares},
          {"nearest", nearest},
          {"histogram_bins", cosine_bins()}};
}

NamedTensors feature_tables(const DictionaryComparison& comparison, const std::string& prefix) {
  const DictionaryComparison& c = comparison;
  const at::Tensor& other = c.matching.other;
  const at::Tensor match = at::where(other >= 0, c.ids_b.index({other.clamp_min(0)}), other);
  return {{prefix + "a.ids", c.ids_a},
          {prefix + "a.nearest", c.nearest_a},
          {prefix + "a.nearest_ids", c.nearest_ids_a},
          {prefix + "a.match", match},
          {prefix + "a.match_cosine", c.matching.cosine},
          {prefix + "b.ids", c.ids_b},
          {prefix + "b.nearest", c.nearest_b},
          {prefix + "b.nearest_ids", c.nearest_ids_b}};
}

}  // namespace regulon::core
