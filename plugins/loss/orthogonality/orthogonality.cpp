#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <regulon/error.h>
#include <regulon/loss_term.h>
#include <regulon/ops.h>
#include <regulon/pairs.h>

#include <algorithm>

#include "pair_search.h"

using regulon::ops::PairPenalty;

/// Features are to point in different directions: pairs of rows cost by their cosine.
///
/// Which pairs: all (Till 2024, "Do sparse autoencoders find true features?"), each feature with its nearest
/// or k-th nearest, or with one that no other has, by the assignment whose sizes sum to most (Riggs and Till,
/// in the comments there), the closest pair of all (Bussmann, there; the
/// published trial is the sum of three terms: all with signed linear cosines, nearest, closest), or the
/// nearest within random chunks (OrtSAE, arXiv 2509.22033: cosine "signed", shape "square"). The mean is over
/// the features that look for a neighbour; exact ties share the weight of one. A neighbour is pulled whether
/// or not it fired. With co-activation a pair weighs by how much its features fire (C2R, arXiv 2606.30609:
/// "norms", cosine "signed", shape "square") or fire together ("joint"). Weights and the choice of pairs are
/// constants in the gradient. Frozen features are looked at by others, look at none, and get no gradient.
class Orthogonality final : public regulon::LossTerm {
 public:
  static void declare(regulon::Declaration<Orthogonality>& d);
  std::vector<std::string> needs() const override;
  void prepare(regulon::Preparation& preparation) override;
  at::Tensor value(const regulon::StepView& step) override;
  std::map<std::string, double> report() const override { return search_of_pairs_.report(); }

 private:
  /// The rows of a step.
  struct Rows {
    at::Tensor rows;   ///< [n, d], of any length, with gradient but to what is frozen
    at::Tensor units;  ///< [n, d], of norm one or zero; with gradient likewise where all pairs are penalised
    WantedRows wanted;
  };

  void refuse_what_does_not_fit() const;
  PairPenalty penalty() const;
  Rows rows_of(const regulon::StepView& step) const;
  WantedRows wanted_of(const regulon::StepView& step, std::int64_t first) const;
  at::Tensor of_all_pairs(const regulon::StepView& step, const Rows& rows) const;
  at::Tensor weights_of(const regulon::StepView& step, const regulon::ops::Neighbours& pairs) const;

  std::string rows_ = "decoder";
  std::string pairs_ = "nearest";
  std::int64_t rank_ = 1;
  std::string shape_ = "linear";
  double margin_ = 0;
  double steepness_ = 2;
  double slope_ = 10;
  std::string cosine_ = "absolute";
  double cap_ = 1;
  std::string scope_ = "all";
  std::string coactivation_ = "none";
  double alpha_ = 1;
  std::string search_ = "auto";
  std::int64_t list_length_ = 16;
  double tolerance_ = 1e-3;
  std::int64_t renew_every_ = 0;
  std::int64_t chunk_ = 8192;
  PairSearch search_of_pairs_;
};

namespace {

/// [n] of a feature's strength, made once a step.
at::Tensor activation_norms(const regulon::StepView& step) {
  return step.once("activation norms",
                   [&] { return std::vector<at::Tensor>{regulon::ops::activation_norms(step.codes())}; })[0];
}

/// The same rows, the first of them without gradient.
at::Tensor held(const at::Tensor& rows, std::int64_t first) {
  if (first == 0) return rows;
  return at::cat({rows.narrow(0, 0, first).detach(), rows.narrow(0, first, rows.size(0) - first)});
}

}  // namespace

void Orthogonality::declare(regulon::Declaration<Orthogonality>& d) {
  d.param("rows", &Orthogonality::rows_)
      .choices({"decoder", "encoder"})
      .doc("rows of the decoder, or the encoder's directions");
  d.param("pairs", &Orthogonality::pairs_)
      .choices({"nearest", "all", "closest", "unique", "chunks"})
      .doc(
          "each feature with its nearest, or with all; the closest pair; each with one of its own, no two "
          "the same; nearest within random chunks");
  d.param("rank", &Orthogonality::rank_)
      .at_least(1)
      .doc("nearest: the k-th nearest instead; of a feature with fewer others the farthest");
  d.param("shape", &Orthogonality::shape_)
      .choices({"linear", "square", "sigmoid", "convex"})
      .doc("the penalty of a pair as its cosine grows from 0 to 1; sigmoid flattens towards 1");
  d.param("margin", &Orthogonality::margin_)
      .at_least(0)
      .below(1)
      .unit("cosine")
      .doc("convex: up to here a pair costs nothing");
  d.param("steepness", &Orthogonality::steepness_)
      .at_least(1)
      .doc("convex: the exponent of how far the cosine is on its way from the margin to 1");
  d.param("slope", &Orthogonality::slope_).above(0).doc("sigmoid: of the logistic curve about cosine 1/2");
  d.param("cosine", &Orthogonality::cosine_)
      .choices({"absolute", "signed"})
      .doc("whether opposite directions are alike; signed: they are far apart");
  d.param("cap", &Orthogonality::cap_)
      .above(0)
      .at_most(1)
      .unit("cosine")
      .doc("pairs above it cost what the cap costs and pull no more: an end to a negative weight");
  d.param("scope", &Orthogonality::scope_)
      .choices({"all", "active"})
      .doc("who looks for a neighbour: all, or those that fired in the batch; a neighbour may be silent");
  d.param("coactivation", &Orthogonality::coactivation_)
      .choices({"none", "norms", "joint"})
      .doc(
          "weight of a pair: (norm_i + norm_j)^alpha by the root mean square over the batch; or "
          "E[z_i z_j] / (E[z_i^2] E[z_j^2])^1/2");
  d.param("alpha", &Orthogonality::alpha_).at_least(0).doc("norms: the exponent");
  d.param("search", &Orthogonality::search_)
      .choices({"auto", "exact", "lists"})
      .doc(
          "nearest: each time among all, or in neighbour lists renewed in rotation; auto: lists above 4096 "
          "features. Terms of the same rows, rank and lists share those of the first that runs in a step");
  d.param("list_length", &Orthogonality::list_length_)
      .at_least(1)
      .unit("features")
      .doc("neighbours remembered of each feature");
  d.param("tolerance", &Orthogonality::tolerance_)
      .at_least(0)
      .unit("cosine")
      .doc("mean shortfall of the lists' nearest up to which they may be renewed less often");
  d.param("renew_every", &Orthogonality::renew_every_)
      .at_least(0)
      .unit("calls")
      .doc(
          "lists: all anew at every so many calls and none between; 0: in rotation; unique: calls between "
          "assignments, 0: none");
  d.param("chunk", &Orthogonality::chunk_).at_least(1).unit("features").doc("chunks: features of one");
}

/// Parameters that nothing would read. Asked for while the config is checked.
void Orthogonality::refuse_what_does_not_fit() const {
  const auto only = [](const char* name, bool changed, bool fits, const char* with) {
    if (!changed || fits) return;
    throw regulon::InputError({"", std::string("'") + name + "' of orthogonality does nothing here", with,
                               "other parameters", std::string("leave '") + name + "' out"});
  };
  const bool searches = pairs_ == "nearest" || pairs_ == "closest";
  only("rank", rank_ != 1, pairs_ == "nearest", "pairs = \"nearest\"");
  only("search", search_ != "auto", searches, "pairs = \"nearest\" or \"closest\"");
  only("list_length", list_length_ != 16, searches && search_ != "exact", "neighbour lists");
  only("tolerance", tolerance_ != 1e-3, searches && search_ != "exact" && renew_every_ == 0,
       "neighbour lists that are renewed in rotation");
  only("renew_every", renew_every_ != 0, pairs_ == "unique" || (searches && search_ == "lists"),
       "search = \"lists\" or pairs = \"unique\"");
  only("chunk", chunk_ != 8192, pairs_ == "chunks", "pairs = \"chunks\"");
  only("margin", margin_ != 0, shape_ == "convex", "shape = \"convex\"");
  only("steepness", steepness_ != 2, shape_ == "convex", "shape = \"convex\"");
  only("slope", slope_ != 10, shape_ == "sigmoid", "shape = \"sigmoid\"");
  only("alpha", alpha_ != 1, coactivation_ == "norms", "coactivation = \"norms\"");
  if (shape_ == "convex" && cap_ <= margin_) {
    throw regulon::InputError({"", "no pair of orthogonality costs anything: its cap is not above its margin",
                               "a cap above the margin " + std::to_string(margin_),
                               "cap = " + std::to_string(cap_), "raise the cap or lower the margin"});
  }
  if (coactivation_ == "joint" && pairs_ == "all") {
    throw regulon::InputError({"", "coactivation \"joint\" of orthogonality would count n x n pairs",
                               "pairs = \"nearest\", \"closest\" or \"chunks\"", "pairs = \"all\"",
                               "or coactivation = \"norms\""});
  }
}

std::vector<std::string> Orthogonality::needs() const {
  refuse_what_does_not_fit();
  if (rows_ == "encoder") return {"encoder.directions", "encoder.untied"};
  return {};
}

void Orthogonality::prepare(regulon::Preparation& preparation) {
  constexpr std::int64_t kExactUpTo = 4096;
  refuse_what_does_not_fit();
  const bool searches = pairs_ == "nearest" || pairs_ == "closest";
  PairSearchSettings settings;
  settings.rows = rows_;
  settings.pairs = pairs_;
  settings.absolute = cosine_ == "absolute";
  settings.uses_lists =
      searches && (search_ == "lists" || (search_ == "auto" && preparation.features > kExactUpTo));
  settings.rank = rank_;
  settings.chunk = chunk_;
  settings.renew_every = std::max<std::int64_t>(1, renew_every_);
  settings.lists.length = list_length_;
  settings.lists.tolerance = tolerance_;
  settings.lists.rank = rank_;
  settings.lists.absolute = settings.absolute;
  settings.lists.renew_every = renew_every_;
  search_of_pairs_.prepare(preparation, settings);
}

PairPenalty Orthogonality::penalty() const {
  using Shape = PairPenalty::Shape;
  PairPenalty penalty;
  penalty.shape = shape_ == "square"    ? Shape::square
                  : shape_ == "sigmoid" ? Shape::sigmoid
                  : shape_ == "convex"  ? Shape::convex
                                        : Shape::linear;
  penalty.absolute = cosine_ == "absolute";
  penalty.margin = margin_;
  penalty.steepness = steepness_;
  penalty.slope = slope_;
  penalty.cap = cap_;
  return penalty;
}

Orthogonality::Rows Orthogonality::rows_of(const regulon::StepView& step) const {
  const regulon::Dictionary& dictionary = step.dictionary();
  const std::int64_t frozen = dictionary.frozen_rows();
  if (rows_ == "encoder") {
    const auto& units = step.once("unit encoder rows", [&] {
      const regulon::Dictionary encoder(step.encoder_directions(), dictionary.bias(), 0, false);
      return std::vector<at::Tensor>{encoder.unit_rows()};
    });
    // Where all decoder rows are frozen (a control), the encoder learns.
    const std::int64_t first = frozen == dictionary.features() ? 0 : frozen;
    return {held(step.encoder_directions(), first),
            pairs_ == "all" ? held(units[0], first) : units[0].detach(), wanted_of(step, first)};
  }
  if (pairs_ == "all")
    return {held(dictionary.weight(), frozen), held(dictionary.unit_rows(), frozen), wanted_of(step, frozen)};
  // Rows that the core keeps at norm one need not be made so again to be searched; frozen ones it leaves
  // alone.
  const bool are_units = dictionary.unit_norm() && frozen == 0;
  return {held(dictionary.weight(), frozen),
          (are_units ? dictionary.weight() : dictionary.unit_rows()).detach(), wanted_of(step, frozen)};
}

WantedRows Orthogonality::wanted_of(const regulon::StepView& step, std::int64_t first) const {
  const std::int64_t n = step.dictionary().features();
  WantedRows wanted{first, scope_ == "active", {}, n - first};
  if (wanted.active) {
    const at::Tensor ids = step.once("active features", [&] {
      return std::vector<at::Tensor>{regulon::ops::feature_counts(step.codes()).nonzero().squeeze(1)};
    })[0];
    wanted.ids = ids.masked_select(ids >= first);
    wanted.count = wanted.ids.size(0);
  } else if (first > 0) {
    wanted.ids = at::arange(first, n, at::kLong);
  }
  return wanted;
}

at::Tensor Orthogonality::of_all_pairs(const regulon::StepView& step, const Rows& rows) const {
  regulon::ops::PairStrengths strengths;
  if (coactivation_ == "norms") strengths = {activation_norms(step), alpha_};
  return regulon::ops::all_pairs(rows.units, penalty(), rows.wanted.ids, strengths);
}

at::Tensor Orthogonality::weights_of(const regulon::StepView& step,
                                     const regulon::ops::Neighbours& pairs) const {
  if (coactivation_ == "joint")
    return pairs.share * regulon::ops::joint_activations(step.codes(), pairs.row, pairs.other);
  if (coactivation_ != "norms") return pairs.share;
  const at::Tensor norms = activation_norms(step);
  return pairs.share * (norms.index_select(0, pairs.row) + norms.index_select(0, pairs.other)).pow(alpha_);
}

at::Tensor Orthogonality::value(const regulon::StepView& step) {
  const Rows rows = rows_of(step);
  if (rows.wanted.count == 0) return {};  // nobody looks for a neighbour
  if (pairs_ == "all") return of_all_pairs(step, rows);
  const regulon::ops::Neighbours pairs = search_of_pairs_.find(step, rows.units, rows.wanted);
  const at::Tensor cosines = regulon::ops::pair_cosines(rows.rows, pairs.row, pairs.other);
  const at::Tensor sum = regulon::ops::pair_penalty(cosines, weights_of(step, pairs), penalty());
  return pairs_ == "closest" ? sum : sum / static_cast<double>(rows.wanted.count);
}

REGULON_LOSS_TERM(Orthogonality, "orthogonality",
                  "Cosines between rows, of all pairs or of near ones, in many shapes")
