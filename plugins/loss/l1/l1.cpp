#include <ATen/TensorOperators.h>
#include <regulon/loss_term.h>
#include <regulon/ops.h>

/// L1 penalty on the codes, each value at its feature's cost: the mean over rows of sum_i c_i f_i. Where
/// decoder norms are free it is sum_i c_i f_i |w_i|, or else the codes would shrink while the decoder grows
/// (Conerly et al. 2024, "Update on how we train SAEs", Transformer Circuits, April update).
class L1 final : public regulon::LossTerm {
 public:
  static void declare(regulon::Declaration<L1>& d) {
    d.param("decoder_norms", &L1::decoder_norms_)
        .choices({"auto", "on", "off"})
        .doc("multiply each value by the norm of its decoder row; auto: when norms are not kept at one");
  }

  std::vector<std::string> needs() const override { return {"codes.gradient", "costs"}; }

  at::Tensor value(const regulon::StepView& step) override {
    const regulon::Dictionary& dictionary = step.dictionary();
    const bool scaled = decoder_norms_ == "on" || (decoder_norms_ == "auto" && !dictionary.unit_norm());
    const at::Tensor prices = scaled ? step.costs() * dictionary.norms() : step.costs();
    return regulon::ops::weighted_sum(step.codes(), prices) / static_cast<double>(step.codes().rows());
  }

 private:
  std::string decoder_norms_ = "auto";
};

REGULON_LOSS_TERM(L1, "l1", "Sum of a row's code values, each at its feature's cost")
