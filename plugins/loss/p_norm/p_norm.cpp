#include <ATen/TensorOperators.h>
#include <ATen/ops/pow.h>
#include <regulon/loss_term.h>
#include <regulon/ops.h>

#include <cmath>

/// The p-th power of the p-norm of the codes, each value at its feature's cost: the mean over rows of
/// sum_i c_i f_i^p, where f_i is taken times its decoder row's norm if that is free. Schedule p from 1 to 0.2
/// for p-annealing (Karvonen et al. 2024, "Measuring Progress in Dictionary Learning", arXiv 2408.00113);
/// the weight, which is adapted to p there, has a schedule of its own here.
///
/// Below p = 1 the slope at zero is infinite: (f + s)^p - s^p, with s the smoothing, has a finite one, p
/// s^(p-1).
class PNorm final : public regulon::LossTerm {
 public:
  static void declare(regulon::Declaration<PNorm>& d) {
    d.param("p", &PNorm::p_).above(0).at_most(2).schedulable().doc("the power; 1 is L1, 0.5 the square root");
    d.param("smoothing", &PNorm::smoothing_)
        .above(0)
        .unit("activation")
        .doc("added before the power, so that small values do not get boundless gradients");
    d.param("decoder_norms", &PNorm::decoder_norms_)
        .choices({"auto", "on", "off"})
        .doc("multiply each value by the norm of its decoder row; auto: when norms are not kept at one");
  }
  std::vector<std::string> needs() const override { return {"codes.gradient", "costs"}; }

  at::Tensor value(const regulon::StepView& step) override {
    const regulon::Codes& codes = step.codes();
    const at::Tensor sizes = regulon::ops::code_sizes(step, decoder_norms_);
    const at::Tensor powers = at::pow(sizes + smoothing_, p_) - std::pow(smoothing_, p_);
    return regulon::ops::weighted_sum(codes.with_values(powers), step.costs()) /
           static_cast<double>(codes.rows());
  }

 private:
  double p_ = 1.0;
  double smoothing_ = 1e-4;
  std::string decoder_norms_ = "auto";
};

REGULON_LOSS_TERM(PNorm, "p_norm", "Sum of a row's code values to the power p, which may be annealed")
