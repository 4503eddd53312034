#include <ATen/ATen.h>
#include <regulon/loss_term.h>

#include <algorithm>

/// Gives dead features a new start, whenever it is this term's turn: `every` says how often, the weight has
/// no say. Each takes the direction (x - b) / |x - b|, b the decoder's bias, of a row x of the batch, drawn
/// without repetition with a probability that grows with the row's squared error to the power `power` (2: the
/// square of the loss). Its decoder row becomes the direction, its encoder row the direction at
/// `encoder_scale` times the mean norm of the living features' encoder rows, its bias zero, and the optimiser
/// forgets it (Bricken et al. 2023, "Towards Monosemanticity", section "Neuron Resampling";
/// dictionary_learning draws by power 0.5).
///
/// A feature that has just been resampled disturbs the reconstruction until it has learnt: let `until` end
/// well before the run does. Encoder rows are all encoder parameters of [n, d], biases all of [n]; a tied
/// encoder has no rows of its own. What the activation learns is not within reach here: under jumprelu a
/// resampled feature keeps its theta, also one that killed it. Dead is what was silent for `dead_after` rows,
/// and was not resampled within them. More dead features than rows wait for the next turn. The state tells of
/// each feature how often and at which step it was resampled.
class Resample final : public regulon::LossTerm {
 public:
  static void declare(regulon::Declaration<Resample>& d) {
    d.param("dead_after", &Resample::dead_after_)
        .at_least(1)
        .unit("rows")
        .doc("without activity after which a feature counts as dead; jumprelu's theta is left as it is");
    d.param("power", &Resample::power_)
        .at_least(0)
        .at_most(8)
        .doc("rows are drawn in proportion to their squared error to this power; 0: all alike");
    d.param("encoder_scale", &Resample::encoder_scale_)
        .above(0)
        .at_most(10)
        .doc("norm of a new encoder row, over the mean norm of the living ones");
    d.param("until", &Resample::until_)
        .at_least(0)
        .unit("steps")
        .doc("no feature is resampled after this step; 0: to the end of the run");
  }
  std::vector<std::string> needs() const override { return {"encoder.directions"}; }
  at::Tensor value(const regulon::StepView&) override { return {}; }
  bool acts_after_step() const override { return true; }

  void prepare(regulon::Preparation& preparation) override {
    preparation.state("times", times_, {preparation.features}, at::kLong);
    preparation.state("last_step", last_step_, {preparation.features}, at::kLong);
    preparation.state("latest", latest_, {1}, at::kLong);
  }

  void after_step(regulon::UpdateView& update) override {
    latest_.zero_();
    if (until_ > 0 && update.step >= until_) return;
    const at::Tensor dead = dead_features(update);
    const at::Tensor ids = at::nonzero(dead).squeeze(1);
    const at::Tensor directions = draw_directions(update, ids.size(0));
    const std::int64_t count = directions.size(0);
    if (count == 0) return;
    latest_.fill_(count);
    const at::Tensor chosen = ids.narrow(0, 0, count);
    update.dictionary_weight.index_copy_(0, chosen, directions);
    for (auto& [name, parameter] : update.encoder_parameters) renew(parameter, chosen, directions, dead);
    update.reset_optimiser(chosen);
    times_.index_add_(0, chosen, at::ones_like(chosen));
    last_step_.index_fill_(0, chosen, update.step + 1);
  }

  std::map<std::string, double> report() const override {
    return {{"resampled", latest_.item<double>()}, {"resampled_in_all", times_.sum().item<double>()}};
  }

 private:
  /// [n] bool: silent for long enough, whoever resampled it counting as active then.
  at::Tensor dead_features(const regulon::UpdateView& update) const {
    const at::Tensor rows_since = (update.step + 1 - last_step_) * update.batch.size(0);
    const at::Tensor waited = (last_step_ == 0).logical_or(rows_since >= dead_after_);
    at::Tensor dead = (update.stats.silent_rows >= dead_after_).logical_and(waited);
    dead.narrow(0, 0, update.frozen_rows).fill_(false);
    return dead;
  }

  /// At most `wanted` unit directions [m, d] of the rows that training does worst on.
  at::Tensor draw_directions(const regulon::UpdateView& update, std::int64_t wanted) const {
    const at::Tensor rows = update.batch - update.dictionary_bias;
    const at::Tensor norms = rows.norm(2, 1, true);
    const at::Tensor errors = update.row_errors.to(at::kDouble);
    // Relative to the worst row, so that no power overflows; rows without error or direction are not drawn.
    const at::Tensor share = errors / errors.max().clamp_min(1e-300);
    const at::Tensor usable = (share > 0).logical_and(norms.squeeze(1) > 0);
    const at::Tensor chances = at::where(usable, share.pow(power_), at::zeros_like(share));
    const std::int64_t count = std::min(wanted, (chances > 0).sum().item<std::int64_t>());
    if (count == 0) return rows.narrow(0, 0, 0);
    const at::Tensor drawn = at::multinomial(chances, count, false, update.generator);
    return (rows / norms).index_select(0, drawn);
  }

  /// Sets what `parameter` holds of the features `chosen`.
  void renew(at::Tensor& parameter, const at::Tensor& chosen, const at::Tensor& directions,
             const at::Tensor& dead) const {
    if (parameter.dim() == 1 && parameter.size(0) == dead.size(0)) parameter.index_fill_(0, chosen, 0);
    if (parameter.dim() != 2 || parameter.size(0) != dead.size(0) || parameter.size(1) != directions.size(1))
      return;
    const at::Tensor norms = parameter.norm(2, 1);
    const at::Tensor living = dead.logical_not().to(norms.scalar_type());
    const double alive = living.sum().item<double>();
    const double mean = (alive > 0 ? (norms * living).sum() / alive : norms.mean()).item<double>();
    parameter.index_copy_(0, chosen, directions * (encoder_scale_ * (mean > 0 ? mean : 1.0)));
  }

  std::int64_t dead_after_ = 1'000'000;
  double power_ = 2.0;
  double encoder_scale_ = 0.2;
  std::int64_t until_ = 0;
  at::Tensor times_;
  at::Tensor last_step_;
  at::Tensor latest_;
};

REGULON_LOSS_TERM(Resample, "resample", "Restarts dead features at rows that are reconstructed badly")
