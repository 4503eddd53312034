#include <ATen/ops/mse_loss.h>
#include <regulon/loss_term.h>
#include <regulon/sums.h>

/// The reconstruction's squared error, |x - xhat|^2: summed over the d coordinates and averaged over rows, as
/// papers write it, or averaged over both, as most code computes it.
class Mse final : public regulon::LossTerm {
 public:
  static void declare(regulon::Declaration<Mse>& d) {
    d.param("reduction", &Mse::reduction_)
        .choices({"sum", "mean"})
        .doc("over the coordinates of a row: their sum, or their mean (smaller by a factor d)");
  }

  at::Tensor value(const regulon::StepView& step) override {
    const at::Tensor squared = at::mse_loss(step.reconstruction(), step.batch(), at::Reduction::None);
    return regulon::ops::mean(reduction_ == "mean" ? squared.mean(1) : squared.sum(1));
  }

 private:
  std::string reduction_ = "sum";
};

REGULON_LOSS_TERM(Mse, "mse", "Squared error of the reconstruction")
