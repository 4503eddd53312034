#include <ATen/TensorOperators.h>
#include <regulon/coherence.h>
#include <regulon/loss_term.h>

#include <string>

/// Keeps every |cosine| of two decoder rows at mu or below, as recovery of sparse codes asks of a dictionary
/// (Candes 2008, "The restricted isometry property and its implications for compressed sensing").
///
/// As a penalty, the mean over rows i of the sum over all other rows j of (|c_ij| - mu)², where that is above
/// zero: pairs below mu cost nothing and are not moved. (Of the nearest other row alone it is `orthogonality`
/// with a convex shape.)
///
/// As a projection, a hard constraint: whenever it is this term's turn (`every`), the rows are turned until
/// the largest |cosine| is at most mu + tolerance, which a pass over all pairs verifies; a weight of 0
/// switches it off, and any other is as good as 1. Pairs in excess are turned apart in their plane, one after
/// the other; where that goes in circles, near the Welch bound, the excess is descended by gradients. Random
/// rows get to 1.1 of the bound for n = 2 d and to 1.3 of it for n = 4 d. (Of the alternating projections of
/// Tropp et al. 2005, "Designing structured tight frames via an alternating projection method", each needs
/// the eigenvectors of an n x n matrix; by trial they took more passes and went less far, but for frames of
/// equal angles at the bound.)
///
/// Between turns the optimiser moves the rows, and may move them over the cap: with `every` above 1 they are
/// under it at each turn, and at the end of the run if the number of steps is a multiple of `every`.
///
/// Rows keep their norms, frozen rows stay where they are and may exceed mu among themselves. No n rows in d
/// dimensions are below the Welch bound sqrt((n - d) / (d (n - 1))): a mu below that of the rows that learn
/// is refused at the first turn, when their number is known. Whether there are any for a mu close above it is
/// an open question for most n and d.
class CoherenceCap final : public regulon::LossTerm {
 public:
  static void declare(regulon::Declaration<CoherenceCap>& d) {
    d.param("mu", &CoherenceCap::mu_)
        .at_least(0)
        .at_most(1)
        .unit("cosine")
        .doc("the cap; random rows are at about sqrt(2 ln(n) / d) to their nearest");
    d.param("projection", &CoherenceCap::projection_)
        .doc(
            "turn the rows after the optimiser's step until none exceeds mu, in place of a penalty; under "
            "`every` above 1 they may exceed it between turns, and at the end");
    d.param("tolerance", &CoherenceCap::tolerance_)
        .at_least(1e-6)
        .at_most(0.1)
        .unit("cosine")
        .doc("projection: by which a pair may still exceed mu");
    d.param("iterations", &CoherenceCap::iterations_)
        .at_least(1)
        .doc(
            "projection: passes over all pairs, of n² d / 2 each, after one that looks; a run ends whose "
            "rows need more");
  }

  bool acts_after_step() const override { return projection_; }

  void prepare(regulon::Preparation& preparation) override {
    if (!projection_) return;
    preparation.state("latest", latest_, {figure_count}, at::kDouble);
    latest_[moved_rows].fill_(-1);  // no turn yet
  }

  at::Tensor value(const regulon::StepView& step) override {
    const regulon::Dictionary& dictionary = step.dictionary();
    const std::int64_t learning = dictionary.features() - dictionary.frozen_rows();
    if (projection_ || learning == 0) return {};
    const at::Tensor excess =
        regulon::ops::coherence_excess(dictionary.unit_rows(), mu_, dictionary.frozen_rows());
    return excess / static_cast<double>(learning);
  }

  void after_step(regulon::UpdateView& update) override {
    refuse_the_impossible(update);
    regulon::ops::CapSettings settings;
    settings.mu = mu_;
    settings.tolerance = tolerance_;
    settings.iterations = iterations_;
    settings.frozen_rows = update.frozen_rows;
    settings.generator = update.generator;
    const regulon::ops::CapResult result = regulon::ops::cap_coherence(update.dictionary_weight, settings);
    if (result.reached) {
      auto* const latest = latest_.mutable_data_ptr<double>();
      latest[before] = result.before;
      latest[after] = result.after;
      latest[moved_rows] = static_cast<double>(result.moved.numel());
      return;
    }
    throw regulon::RunError({"coherence_cap", "the decoder cannot be brought under its cap",
                             "a largest |cosine| of at most " + std::to_string(mu_),
                             std::to_string(result.after) + " after " + std::to_string(result.passes) +
                                 " passes, from " + std::to_string(result.before),
                             "raise mu (the Welch bound for " + sizes(update) + " is " +
                                 std::to_string(bound(update)) +
                                 ", and few sizes reach it), allow more iterations, or lower `every`"});
  }

  std::map<std::string, double> report() const override {
    if (!projection_) return {};
    const auto* const latest = latest_.const_data_ptr<double>();
    if (latest[moved_rows] < 0) return {};
    return {{"coherence_before", latest[before]},
            {"coherence", latest[after]},
            {"moved_rows", latest[moved_rows]}};
  }

 private:
  /// The places of numbers in `latest_`.
  enum Figure : std::int64_t { before, after, moved_rows, figure_count };

  /// Features that learn. Those that do not may exceed the cap among themselves.
  static std::int64_t learning(const regulon::UpdateView& update) {
    return update.dictionary_weight.size(0) - update.frozen_rows;
  }
  /// What the features that learn cannot go below, whatever the frozen ones are.
  static double bound(const regulon::UpdateView& update) {
    return regulon::ops::welch_bound(learning(update), update.dictionary_weight.size(1));
  }
  static std::string sizes(const regulon::UpdateView& update) {
    return std::to_string(learning(update)) + (update.frozen_rows > 0 ? " learning" : "") + " features in " +
           std::to_string(update.dictionary_weight.size(1)) + " dimensions";
  }

  void refuse_the_impossible(const regulon::UpdateView& update) const {
    if (mu_ >= bound(update) - 1e-9) return;
    throw regulon::RunError({"coherence_cap", "mu is below the Welch bound, so that no dictionary reaches it",
                             "at least " + std::to_string(bound(update)) + " for " + sizes(update),
                             std::to_string(mu_),
                             "raise mu (bounds of other caps are seldom reached), or take fewer features"});
  }

  double mu_ = 0.5;
  bool projection_ = false;
  double tolerance_ = 1e-4;
  std::int64_t iterations_ = 1000;
  at::Tensor latest_;  ///< [3] double: of the last turn, for the report after a resume too
};

REGULON_LOSS_TERM(CoherenceCap, "coherence_cap",
                  "A cap of decoder cosines: a penalty above it, or a projection under it")
