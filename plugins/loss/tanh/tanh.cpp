#include <ATen/TensorOperators.h>
#include <ATen/ops/tanh.h>
#include <regulon/loss_term.h>
#include <regulon/ops.h>

/// A penalty that levels off, so that strong codes are not shrunk: the mean over rows of
/// sum_i c_i tanh(s f_i), where f_i is taken times its decoder row's norm if that is free (Conerly et al.
/// 2025, "Dictionary Learning Optimization Techniques", Transformer Circuits, January update, where s = 4 and
/// the norms are in; proposed in Jermyn et al. 2024, "Tanh Penalty in Dictionary Learning", February update).
class Tanh final : public regulon::LossTerm {
 public:
  static void declare(regulon::Declaration<Tanh>& d) {
    d.param("scale", &Tanh::scale_)
        .above(0)
        .unit("per activation")
        .schedulable()
        .doc("s: the penalty levels off at values of about 1 / s");
    d.param("decoder_norms", &Tanh::decoder_norms_)
        .choices({"auto", "on", "off"})
        .doc("multiply each value by the norm of its decoder row; auto: when norms are not kept at one");
  }
  std::vector<std::string> needs() const override { return {"codes.gradient", "costs"}; }

  at::Tensor value(const regulon::StepView& step) override {
    const regulon::Codes& codes = step.codes();
    const at::Tensor penalties = at::tanh(regulon::ops::code_sizes(step, decoder_norms_) * scale_);
    return regulon::ops::weighted_sum(codes.with_values(penalties), step.costs()) /
           static_cast<double>(codes.rows());
  }

 private:
  double scale_ = 4.0;
  std::string decoder_norms_ = "auto";
};

REGULON_LOSS_TERM(Tanh, "tanh", "Sum of tanh of a row's code values: levels off at one for strong codes")
