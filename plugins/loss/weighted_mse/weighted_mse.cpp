#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <regulon/loss_term.h>
#include <regulon/sums.h>

/// Squared error in which rows count differently: sum_r w_r |x_r - xhat_r|^2 / sum_r w_r with w_r =
/// |x_r|^power. Power 0 is mse; a negative one lifts short rows, and -2 weighs relative errors alike (compare
/// row_norm of normalised_mse); a positive one lifts long rows. Norms far below the mean count as `floor` of
/// it: or a single short row could outweigh the batch.
class WeightedMse final : public regulon::LossTerm {
 public:
  static void declare(regulon::Declaration<WeightedMse>& d) {
    d.param("power", &WeightedMse::power_)
        .at_least(-4)
        .at_most(4)
        .schedulable()
        .doc("of a row's norm, as the row's weight; 0: all rows count alike");
    d.param("floor", &WeightedMse::floor_)
        .above(0)
        .at_most(1)
        .unit("share of the batch's mean norm")
        .doc("shorter rows are weighed as if they had this norm");
  }

  at::Tensor value(const regulon::StepView& step) override {
    const at::Tensor errors = (step.batch() - step.reconstruction()).square().sum(1);
    const at::Tensor norms = at::linalg_vector_norm(step.batch(), 2, at::IntArrayRef({1}));
    // A batch of zeros has the mean norm zero; its rows weigh the same.
    const at::Tensor relative = norms / regulon::ops::mean(norms).clamp_min(1e-30);
    const at::Tensor weights = relative.clamp_min(floor_).pow(power_);
    return regulon::ops::total(errors * weights) / regulon::ops::total(weights);
  }

 private:
  double power_ = -1.0;
  double floor_ = 0.01;
};

REGULON_LOSS_TERM(WeightedMse, "weighted_mse", "Squared error, each row weighed by a power of its norm")
