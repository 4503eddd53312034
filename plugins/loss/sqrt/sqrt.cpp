#include <ATen/TensorOperators.h>
#include <ATen/ops/sqrt.h>
#include <regulon/loss_term.h>
#include <regulon/ops.h>

#include <cmath>

/// The mean over rows of sum_i c_i sqrt(f_i), where f_i is taken times its decoder row's norm if that is
/// free: p_norm at a fixed p of one half, and the L1/2 penalty of Xu et al. 2012, "L1/2 Regularization". Its
/// slope at zero is infinite: sqrt(f + s) - sqrt(s), with s the smoothing, has a finite one, 1 / (2 sqrt(s)).
class Sqrt final : public regulon::LossTerm {
 public:
  static void declare(regulon::Declaration<Sqrt>& d) {
    d.param("smoothing", &Sqrt::smoothing_)
        .above(0)
        .unit("activation")
        .doc("added before the root, so that small values do not get boundless gradients");
    d.param("decoder_norms", &Sqrt::decoder_norms_)
        .choices({"auto", "on", "off"})
        .doc("multiply each value by the norm of its decoder row; auto: when norms are not kept at one");
  }
  std::vector<std::string> needs() const override { return {"codes.gradient", "costs"}; }

  at::Tensor value(const regulon::StepView& step) override {
    const regulon::Codes& codes = step.codes();
    const at::Tensor sizes = regulon::ops::code_sizes(step, decoder_norms_);
    const at::Tensor roots = at::sqrt(sizes + smoothing_) - std::sqrt(smoothing_);
    return regulon::ops::weighted_sum(codes.with_values(roots), step.costs()) /
           static_cast<double>(codes.rows());
  }

 private:
  double smoothing_ = 1e-4;
  std::string decoder_norms_ = "auto";
};

REGULON_LOSS_TERM(Sqrt, "sqrt", "Sum of the square roots of a row's code values")
