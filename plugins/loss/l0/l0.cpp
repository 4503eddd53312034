#include <ATen/TensorOperators.h>
#include <regulon/loss_term.h>
#include <regulon/ops.h>

/// The number of a row's active features, each at its feature's cost: the mean over rows of
/// sum_i c_i H(z_i - theta_i). The step function H has no gradient: near its threshold the activation's
/// kernel stands in for it, and by this term theta alone learns, unless the activation lets the encoder learn
/// as well (Rajamanoharan et al. 2024, "Jumping Ahead", arXiv 2407.14435, section 3).
class L0 final : public regulon::LossTerm {
 public:
  std::vector<std::string> needs() const override { return {"codes.open", "costs"}; }

  at::Tensor value(const regulon::StepView& step) override {
    const regulon::Codes& codes = step.codes();
    const regulon::Codes open = codes.with_values(codes.channel("open"));
    return regulon::ops::weighted_sum(open, step.costs()) / static_cast<double>(codes.rows());
  }
};

REGULON_LOSS_TERM(L0, "l0", "Number of a row's active features, each at its cost; trains thresholds")
