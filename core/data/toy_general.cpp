#include "core/data/toy_general.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/special_ndtri.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <regulon/error.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace regulon::core {
namespace {

[[noreturn]] void refuse(std::string what, std::string expected, std::string found, std::string hint) {
  throw InputError({"[data]", std::move(what), std::move(expected), std::move(found), std::move(hint)});
}

/// P(N(0, 1) < x).
double normal_share(double x) { return 0.5 * std::erfc(-x * std::numbers::sqrt2 / 2.0); }

}  // namespace

void ToyGeneral::declare(Declaration<ToyGeneral>& d) {
  using T = ToyGeneral;
  d.param("features", &T::features_).at_least(1).at_most(1 << 24).doc("number of true features");
  d.param("width", &T::width_).at_least(1).at_most(1 << 20).doc("activation width d");
  d.param("directions", &T::directions_).choices(direction_kinds()).doc("how the true features lie");
  d.param("probability", &T::probability_)
      .choices({"constant", "zipf", "list"})
      .doc("how often features are active: p, by rank, or p_list");
  d.param("p", &T::p_).at_least(0).at_most(1).doc("probability of every feature (constant)");
  d.param("p_max", &T::p_max_).above(0).at_most(1).doc("probability of the first feature (zipf)");
  d.param("p_min", &T::p_min_).at_least(0).at_most(1).doc("no feature is rarer than this (zipf)");
  d.param("zipf_exponent", &T::zipf_)
      .at_least(0)
      .doc("feature i has p_max / (i + 1)^zipf_exponent, but at least p_min (zipf)");
  d.param("p_list", &T::p_list_).at_least(0).at_most(1).doc("probability of each feature (list)");
  d.param("correlation", &T::correlation_)
      .choices({"none", "copula", "pairs"})
      .doc("which features go together: none, a Gaussian copula of low rank, or 2i with 2i + 1");
  d.param("correlation_strength", &T::strength_)
      .at_least(0)
      .below(1)
      .doc(
          "copula: share of the common factors; pairs: 0 independent, towards 1 as often together as can be");
  d.param("correlation_rank", &T::rank_).at_least(1).at_most(4096).doc("common factors of the copula");
  d.param("roots", &T::roots_).at_least(0).doc("roots of the hierarchy; 0: there is none");
  d.param("children", &T::children_).at_least(1).doc("children of each feature of the hierarchy");
  d.param("levels", &T::levels_).at_least(1).doc("levels of the hierarchy, the roots' included");
  d.param("exclusive", &T::exclusive_).doc("at most one child of a feature is active");
  d.param("magnitude", &T::magnitude_)
      .choices({"uniform", "rectified_normal"})
      .doc("how strong an active feature is: in [low, high], or max(0, mean + deviation * N(0, 1))");
  d.param("low", &T::low_).at_least(0).unit("activation").doc("smallest magnitude (uniform)");
  d.param("high", &T::high_).above(0).unit("activation").doc("largest magnitude (uniform)");
  d.param("mean", &T::mean_).unit("activation").doc("of the normal (rectified_normal)");
  d.param("deviation", &T::deviation_).at_least(0).unit("activation").doc("of the normal (rectified_normal)");
  d.param("held_out", &T::held_out_).at_least(1).unit("rows").doc("rows to measure on");
}

ToySource::Layout ToyGeneral::prepare_toy(RandomStream& random) {
  if (low_ > high_) {
    refuse("low is above high", "low <= high", fmt::format("low = {}, high = {}", low_, high_),
           "Exchange the two.");
  }
  set_probabilities();
  set_hierarchy();
  set_correlation(random);
  return {features_, width_, held_out_, directions_};
}

void ToyGeneral::set_probabilities() {
  const auto n = static_cast<std::size_t>(features_);
  if (probability_ == "list" && p_list_.size() != n) {
    refuse("p_list does not fit the number of features", fmt::format("{} numbers", n),
           fmt::format("{}", p_list_.size()),
           "Give one probability for each feature, or use probability = \"zipf\".");
  }
  if (probability_ == "zipf" && p_min_ > p_max_) {
    refuse("p_min is above p_max", "p_min <= p_max", fmt::format("p_min = {}, p_max = {}", p_min_, p_max_),
           "Exchange the two.");
  }
  probabilities_.assign(n, p_);
  for (std::size_t i = 0; i < n; ++i) {
    if (probability_ == "list") probabilities_[i] = p_list_[i];
    if (probability_ == "zipf")
      probabilities_[i] = std::max(p_min_, p_max_ * std::pow(static_cast<double>(i + 1), -zipf_));
  }
}

void ToyGeneral::set_hierarchy() {
  forest_ = 0;
  std::int64_t level = roots_;
  for (std::int64_t i = 0; i < levels_ && level > 0; ++i) {
    forest_ += level;
    if (forest_ > features_ || __builtin_mul_overflow(level, children_, &level)) {
      refuse("the hierarchy is larger than the number of features",
             fmt::format("at most {} features", features_),
             fmt::format("{} roots, {} children each, {} levels", roots_, children_, levels_),
             "Raise features, or lower one of the three.");
    }
  }
  heads_.clear();
  for (std::int64_t i = 0; i < features_; ++i) {
    if (i < roots_ || i >= forest_) heads_.push_back(i);
  }
  given_parent_.assign(static_cast<std::size_t>(features_), 0.0);
  for (std::int64_t parent = 0; parent < forest_ && first_child(parent) < forest_; ++parent) {
    const double share = probabilities_[static_cast<std::size_t>(parent)];
    const auto first = static_cast<std::size_t>(first_child(parent));
    const auto last = first + static_cast<std::size_t>(children_);
    double wanted = 0.0;
    for (std::size_t child = first; child < last; ++child) {
      wanted = exclusive_ ? wanted + probabilities_[child] : std::max(wanted, probabilities_[child]);
    }
    for (std::size_t child = first; child < last; ++child) {
      // Not exclusive: each child is only bounded by its parent. Exclusive: all of them together are.
      double& own = probabilities_[child];
      own = exclusive_ ? own * std::min(1.0, wanted > 0 ? share / wanted : 1.0) : std::min(own, share);
      given_parent_[child] = share > 0 ? own / share : 0.0;
    }
  }
}

void ToyGeneral::set_correlation(RandomStream& random) {
  loadings_.clear();
  thresholds_.clear();
  if (correlation_ != "copula") return;
  const auto rank = static_cast<std::size_t>(rank_);
  at::Tensor shares = at::empty({static_cast<std::int64_t>(heads_.size())}, at::kDouble);
  for (std::size_t i = 0; i < heads_.size(); ++i) {
    shares.mutable_data_ptr<double>()[i] = probabilities_[static_cast<std::size_t>(heads_[i])];
    // A random direction of squared length `strength`: the latent normals of two features then correlate by
    // strength times the cosine of their directions.
    std::vector<double> direction(rank);
    double squared = 0.0;
    for (double& value : direction) {
      value = random.normal();
      squared += value * value;
    }
    for (const double value : direction) loadings_.push_back(value * std::sqrt(strength_ / squared));
  }
  const at::Tensor thresholds = at::special_ndtri(shares);
  thresholds_.assign(thresholds.const_data_ptr<double>(),
                     thresholds.const_data_ptr<double>() + heads_.size());
}

void ToyGeneral::draw(RandomStream& random, std::vector<Active>& active) const {
  if (correlation_ == "copula") {
    draw_copula(random, active);
  } else if (correlation_ == "pairs") {
    draw_pairs(random, active);
  } else {
    draw_independent(random, active);
  }
  // Children are appended behind their parents, and so come up as parents themselves.
  for (std::size_t i = 0; i < active.size(); ++i) {
    const std::int64_t feature = active[i].feature;
    if (feature < forest_ && first_child(feature) < forest_) draw_children(feature, random, active);
  }
  for (Active& one : active) {
    const double value = magnitude_ == "uniform" ? random.uniform(low_, high_)
                                                 : std::max(0.0, mean_ + deviation_ * random.normal());
    one.magnitude = static_cast<float>(value);
  }
}

void ToyGeneral::draw_independent(RandomStream& random, std::vector<Active>& active) const {
  for (const std::int64_t feature : heads_) {
    if (random.uniform() < probabilities_[static_cast<std::size_t>(feature)])
      active.push_back({feature, 0.0f});
  }
}

void ToyGeneral::draw_copula(RandomStream& random, std::vector<Active>& active) const {
  const auto rank = static_cast<std::size_t>(rank_);
  std::vector<double> factors(rank);
  for (double& factor : factors) factor = random.normal();
  const double own = std::sqrt(1.0 - strength_);
  for (std::size_t i = 0; i < heads_.size(); ++i) {
    double common = 0.0;
    for (std::size_t j = 0; j < rank; ++j) common += loadings_[i * rank + j] * factors[j];
    // The feature's own normal is integrated out: given the factors it falls below the threshold this often.
    if (random.uniform() < normal_share((thresholds_[i] - common) / own)) active.push_back({heads_[i], 0.0f});
  }
}

void ToyGeneral::draw_pairs(RandomStream& random, std::vector<Active>& active) const {
  for (std::size_t i = 0; i < heads_.size(); i += 2) {
    const double first = probabilities_[static_cast<std::size_t>(heads_[i])];
    const bool first_active = random.uniform() < first;
    if (first_active) active.push_back({heads_[i], 0.0f});
    if (i + 1 == heads_.size()) break;
    const double second = probabilities_[static_cast<std::size_t>(heads_[i + 1])];
    const double both = first * second + strength_ * (std::min(first, second) - first * second);
    const double share = first_active ? both / first : (second - both) / (1.0 - first);
    if (random.uniform() < share) active.push_back({heads_[i + 1], 0.0f});
  }
}

void ToyGeneral::draw_children(std::int64_t parent, RandomStream& random, std::vector<Active>& active) const {
  double point = random.uniform();
  for (std::int64_t child = first_child(parent); child < first_child(parent) + children_; ++child) {
    const double share = given_parent_[static_cast<std::size_t>(child)];
    if (point < share) {
      active.push_back({child, 0.0f});
      if (exclusive_) return;
    }
    // Exclusive siblings lie side by side on [0, 1) and share one point; the others have one each.
    point = exclusive_ ? point - share : random.uniform();
  }
}

std::string ToyGeneral::settings() const {
  return fmt::format(
      "general features={} width={} directions={} probability={} p={} p_min={} p_max={} zipf={} list={} "
      "correlation={} strength={} "
      "rank={} roots={} children={} levels={} exclusive={} magnitude={} low={} high={} mean={} deviation={}",
      features_, width_, directions_, probability_, p_, p_min_, p_max_, zipf_, fmt::join(p_list_, ","),
      correlation_, strength_, rank_, roots_, children_, levels_, exclusive_, magnitude_, low_, high_, mean_,
      deviation_);
}

}  // namespace regulon::core
