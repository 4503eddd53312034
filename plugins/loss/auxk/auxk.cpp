#include <ATen/TensorOperators.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <regulon/loss_term.h>
#include <regulon/ops.h>
#include <regulon/sums.h>

#include <algorithm>

/// Revives dead features: the best k_aux of them in each row are to reconstruct the error e = x - xhat that
/// the others leave, |e - ehat|^2, by the decoder without its bias. The error is a constant here; the dead
/// features' encoder and decoder learn. Dead is what was silent for `dead_after` rows, this batch included.
/// Features that a stage keeps frozen cannot learn and are never among them; where the whole decoder is
/// frozen, and only the encoder learns, all features are, and the encoder alone is to revive them.
/// Usual weight: 1/32 (Gao et al. 2024, "Scaling and evaluating sparse autoencoders", arXiv 2406.04093,
/// appendix A.2; k_aux about d/2, appendix B.1).
///
/// `relative_to` "error" divides by the spread of the errors, sum |e - mean e|^2 (openai/sparse_autoencoder,
/// dictionary_learning), "batch" by that of the batch (sparsify), "none" not at all (SAELens). `fade`
/// multiplies by dead / k_aux while fewer features than that are dead (sparsify, SAELens). Only positive
/// pre-activations take part, as in the paper; sparsify and SAELens also use negative ones. So an activation
/// that selects every positive one, as relu does, leaves nothing for this term.
class AuxK final : public regulon::LossTerm {
 public:
  static void declare(regulon::Declaration<AuxK>& d) {
    d.param("k_aux", &AuxK::k_aux_)
        .at_least(0)
        .unit("features a row")
        .doc("dead features a row, at most as many as are dead; 0: half the activation width");
    d.param("dead_after", &AuxK::dead_after_)
        .at_least(1)
        .unit("rows")
        .doc("without activity after which a feature counts as dead");
    d.param("relative_to", &AuxK::relative_to_)
        .choices({"error", "batch", "none"})
        .doc("divide by the squared distance from their mean of the errors, or of the batch's rows");
    d.param("fade", &AuxK::fade_).doc("weigh less while fewer than k_aux features are dead");
  }
  std::vector<std::string> needs() const override { return {"codes.gradient", "codes.spare"}; }

  void prepare(regulon::Preparation& preparation) override {
    most_ = k_aux_ > 0 ? k_aux_ : std::max<std::int64_t>(1, preparation.width / 2);
    preparation.state("latest", latest_, {1}, at::kLong);
  }

  at::Tensor value(const regulon::StepView& step) override {
    const at::Tensor silent = step.stats().silent_rows + step.codes().rows() >= dead_after_;
    const at::Tensor asleep = silent.logical_and(regulon::ops::feature_counts(step.codes()) == 0);
    asleep.narrow(0, 0, unable_to_learn(step.dictionary())).fill_(false);
    const at::Tensor dead = at::nonzero(asleep);
    const std::int64_t count = dead.size(0);
    latest_.fill_(count);
    if (count == 0) return {};
    regulon::Selection best;
    best.family = regulon::Selection::Family::rank;
    best.k = std::min(most_, count);
    best.only = dead.squeeze(1);
    const at::Tensor guess =
        regulon::ops::decode(step.encode(best), step.dictionary().weight(), at::Tensor());
    const at::Tensor error = (step.batch() - step.reconstruction()).detach();
    const at::Tensor value = regulon::ops::mean((error - guess).square().sum(1)) * inverse_scale(step, error);
    return fade_ ? value * (static_cast<double>(best.k) / static_cast<double>(most_)) : value;
  }

  std::map<std::string, double> report() const override { return {{"dead", latest_.item<double>()}}; }

 private:
  /// So many features, the first ones, have no part in learning.
  static std::int64_t unable_to_learn(const regulon::Dictionary& dictionary) {
    const std::int64_t frozen = dictionary.frozen_rows();
    return frozen < dictionary.features() ? frozen : 0;
  }

  /// One over the mean squared distance from the mean row; zero where there is none.
  at::Tensor inverse_scale(const regulon::StepView& step, const at::Tensor& error) const {
    if (relative_to_ == "none") return error.new_ones({});
    const at::Tensor& rows = relative_to_ == "error" ? error : step.batch();
    const at::Tensor spread = regulon::ops::mean((rows - rows.mean(0)).square().sum(1));
    return at::where(spread > 0, spread.reciprocal(), at::zeros_like(spread));
  }

  std::int64_t k_aux_ = 0;
  std::int64_t dead_after_ = 10'000'000;
  std::string relative_to_ = "error";
  bool fade_ = false;
  std::int64_t most_ = 1;
  at::Tensor latest_;  ///< [1]: dead ones that can learn, at the last step, for the report after a resume
};

REGULON_LOSS_TERM(AuxK, "auxk", "Dead features are to reconstruct the error that the living leave")
