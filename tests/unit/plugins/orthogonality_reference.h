#pragma once
/// The orthogonality term, by whole matrices and autograd, and steps to hold it against.

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <regulon/loss_term.h>

#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/unit/support/gradients.h"
#include "tests/unit/support/load_plugin.h"
#include "tests/unit/support/toy_step.h"

namespace regulon::tests {

using Settings = std::map<std::string, ParamValue>;

/// A term that was prepared, with what it keeps.
struct PreparedTerm {
  std::unique_ptr<Preparation> preparation;
  std::unique_ptr<LossTerm> term;
  LossTerm* operator->() const { return term.get(); }
};

inline PreparedTerm prepared_orthogonality(std::int64_t features, std::int64_t width,
                                           const Settings& settings, at::ScalarType type = at::kDouble) {
  static const PluginDescriptor descriptor = load_plugin("orthogonality");
  PreparedTerm prepared{std::make_unique<Preparation>(), make_plugin<LossTerm>(descriptor, settings)};
  prepared.preparation->features = features;
  prepared.preparation->width = width;
  prepared.preparation->dictionary_weight = at::zeros({features, width}, type);
  prepared.term->needs();
  prepared.term->prepare(*prepared.preparation);
  return prepared;
}

/// A step in double over any number of features, with dense codes of which about a third are active.
struct PairStep {
  PairStep(std::int64_t n, std::int64_t d, std::int64_t batch, std::uint64_t seed)
      : weight(normal({n, d}, seed).requires_grad_(true)),
        directions(normal({n, d}, seed + 1).requires_grad_(true)),
        bias(at::zeros({d}, at::kDouble).requires_grad_(true)),
        codes((normal({batch, n}, seed + 2) - 0.6).clamp_min(0)),
        rows(normal({batch, d}, seed + 3)) {
    // Some are silent, whatever the draw.
    codes.slice(1, 0, n, 3).zero_();
  }

  StepView view(std::uint64_t seed = 11) const {
    StepInputs inputs{0,
                      seed,
                      rows,
                      Codes::dense(codes),
                      Dictionary(weight, bias, frozen, unit_norm),
                      at::ones({weight.size(0)}, at::kDouble),
                      FeatureStats{},
                      directions,
                      {},
                      nullptr};
    return StepView(inputs).for_term("orthogonality");
  }

  at::Tensor weight;      ///< [n, d] leaf
  at::Tensor directions;  ///< [n, d] leaf
  at::Tensor bias;
  at::Tensor codes;  ///< [B, n]
  at::Tensor rows;
  std::int64_t frozen = 0;
  bool unit_norm = false;
};

inline std::string word(const Settings& settings, const std::string& name, const std::string& otherwise) {
  const auto found = settings.find(name);
  return found == settings.end() ? otherwise : std::get<std::string>(found->second);
}

inline double number(const Settings& settings, const std::string& name, double otherwise) {
  const auto found = settings.find(name);
  if (found == settings.end()) return otherwise;
  if (const auto* const whole = std::get_if<std::int64_t>(&found->second)) return static_cast<double>(*whole);
  return std::get<double>(found->second);
}

/// phi of a matrix of cosines.
inline at::Tensor shaped(const at::Tensor& cosines, const Settings& settings) {
  const bool absolute = word(settings, "cosine", "absolute") == "absolute";
  const at::Tensor sizes = (absolute ? cosines.abs() : cosines).clamp_max(number(settings, "cap", 1 + 1e-9));
  const std::string shape = word(settings, "shape", "linear");
  if (shape == "square") return sizes.clamp_min(0).square();
  if (shape == "sigmoid") {
    const double slope = number(settings, "slope", 10);
    const double low = 1 / (1 + std::exp(slope / 2));
    return (at::sigmoid(slope * (sizes - 0.5)) - low) / (1 - 2 * low);
  }
  if (shape == "convex") {
    const double margin = number(settings, "margin", 0);
    return ((sizes - margin) / (1 - margin)).clamp_min(0).pow(number(settings, "steepness", 2));
  }
  return sizes;
}

/// [n, n]: how much of row i each j is a neighbour of it, out of sizes in which what is none is minus
/// infinity.
inline at::Tensor neighbour_shares(const at::Tensor& sizes, std::int64_t rank) {
  const at::Tensor place = (sizes.isfinite().sum(1, true).clamp_max(rank) - 1).clamp_min(0);
  const at::Tensor wanted = std::get<0>(sizes.sort(1, true)).gather(1, place);
  const at::Tensor tied = ((sizes - wanted).abs() < 1e-12).to(at::kDouble);  // none where all is infinite
  return tied / tied.sum(1, true).clamp_min(1);
}

/// [n, n]: 1 where the one-to-one assignment with the largest sum of `sizes` pairs i with j; rows without any
/// finite size are left out. By the Hungarian algorithm with potentials (Kuhn 1955), row by row.
inline at::Tensor assignment(const at::Tensor& sizes) {
  const at::Tensor ids = sizes.isfinite().any(1).nonzero().squeeze(1);
  const std::int64_t n = ids.size(0);
  const at::Tensor part = sizes.index_select(0, ids).index_select(1, ids).contiguous();
  const auto cost = [&](std::int64_t i, std::int64_t j) {
    const double size = part.const_data_ptr<double>()[(i - 1) * n + j - 1];
    return std::isfinite(size) ? 1 - size : 1e3;  // itself: never taken where others are left
  };
  const auto places = static_cast<std::size_t>(n + 1);
  std::vector<double> of_row(places, 0), of_column(places, 0);
  std::vector<std::int64_t> row_of(places, 0);
  for (std::int64_t row = 1; row <= n; ++row) {
    std::vector<double> least(places, INFINITY);
    std::vector<std::int64_t> before(places, 0);
    std::vector<bool> done(places, false);
    std::int64_t column = 0;
    row_of[0] = row;
    do {
      const auto here = static_cast<std::size_t>(column);
      done[here] = true;
      double step = INFINITY;
      std::int64_t next = 0;
      for (std::size_t j = 1; j < places; ++j) {
        if (done[j]) continue;
        const double rest = cost(row_of[here], static_cast<std::int64_t>(j)) -
                            of_row[static_cast<std::size_t>(row_of[here])] - of_column[j];
        if (rest < least[j]) {
          least[j] = rest;
          before[j] = column;
        }
        if (least[j] < step) {
          step = least[j];
          next = static_cast<std::int64_t>(j);
        }
      }
      for (std::size_t j = 0; j < places; ++j) {
        if (done[j]) {
          of_row[static_cast<std::size_t>(row_of[j])] += step;
          of_column[j] -= step;
        } else {
          least[j] -= step;
        }
      }
      column = next;
    } while (row_of[static_cast<std::size_t>(column)] != 0);
    for (; column != 0; column = before[static_cast<std::size_t>(column)])
      row_of[static_cast<std::size_t>(column)] =
          row_of[static_cast<std::size_t>(before[static_cast<std::size_t>(column)])];
  }
  at::Tensor pairs = at::zeros_like(sizes);
  for (std::int64_t j = 1; j <= n && n > 1; ++j)
    pairs[ids[row_of[static_cast<std::size_t>(j)] - 1].item<std::int64_t>()]
         [ids[j - 1].item<std::int64_t>()] = 1;
  return pairs;
}

/// [n, n]: the weight of each ordered pair before any co-activation, summing to one where there is one.
inline at::Tensor pair_shares(const at::Tensor& cosines, const at::Tensor& is_row, const at::Tensor& looks,
                              const Settings& settings) {
  const std::int64_t n = cosines.size(0);
  const at::Tensor both = is_row.unsqueeze(0) * is_row.unsqueeze(1) * (1 - at::eye(n, cosines.options()));
  const at::Tensor wanted = looks.to(at::kDouble).unsqueeze(1);
  const at::Tensor count = wanted.sum();
  const std::string pairs = word(settings, "pairs", "nearest");
  if (pairs == "all")
    return (1 - at::eye(n, cosines.options())) * wanted / count / static_cast<double>(n - 1);
  const bool absolute = word(settings, "cosine", "absolute") == "absolute";
  const at::Tensor sizes = (absolute ? cosines.abs() : cosines).masked_fill(both == 0, -INFINITY);
  if (pairs == "closest") {
    const at::Tensor seen = sizes.masked_fill(wanted == 0, -INFINITY);
    const at::Tensor tied = ((seen - seen.max()).abs() < 1e-12).to(at::kDouble);
    return tied / tied.sum();
  }
  if (pairs == "unique") return assignment(sizes) * wanted / count;
  const auto rank = static_cast<std::int64_t>(number(settings, "rank", 1));
  return neighbour_shares(sizes, rank) * wanted / count;
}

/// [n, n]: the weight of a pair by how its features fire.
inline at::Tensor coactivation(const at::Tensor& codes, const Settings& settings) {
  const std::string kind = word(settings, "coactivation", "none");
  const std::int64_t n = codes.size(1);
  const at::Tensor norms = codes.square().mean(0).sqrt();
  if (kind == "norms") return (norms.unsqueeze(0) + norms.unsqueeze(1)).pow(number(settings, "alpha", 1));
  if (kind == "joint") {
    const at::Tensor together = codes.t().mm(codes) / static_cast<double>(codes.size(0));
    return together / (norms.unsqueeze(0) * norms.unsqueeze(1)).clamp_min(1e-300);
  }
  return at::ones({n, n}, at::kDouble);
}

/// The term's value, with gradient, of a step.
inline at::Tensor dense_orthogonality(const PairStep& step, const Settings& settings) {
  const bool encoder = word(settings, "rows", "decoder") == "encoder";
  // All decoder rows frozen is the control, in which the encoder learns.
  const std::int64_t frozen = encoder && step.frozen == step.weight.size(0) ? 0 : step.frozen;
  const at::Tensor given = encoder ? step.directions : step.weight;
  const std::int64_t n = given.size(0);
  const at::Tensor rows = at::cat({given.slice(0, 0, frozen).detach(), given.slice(0, frozen)});
  const at::Tensor is_row = (rows.detach().abs().amax(1) > 0).to(at::kDouble);
  const at::Tensor norms = (rows.square().sum(1) + (1 - is_row)).sqrt();
  const at::Tensor units = rows / norms.unsqueeze(1);
  const at::Tensor cosines = units.mm(units.t());
  at::Tensor looks = at::arange(n) >= frozen;
  if (word(settings, "scope", "all") == "active") looks = looks * (step.codes > 0).any(0);
  if (n < 2 || !looks.any().item<bool>()) return given.sum() * 0;
  const at::Tensor shares = pair_shares(cosines.detach(), is_row, looks, settings);
  return (shares * coactivation(step.codes, settings) * shaped(cosines, settings)).sum();
}

}  // namespace regulon::tests
