#include <ATen/TensorOperators.h>
#include <regulon/loss_term.h>
#include <regulon/ops.h>

/// L1 penalty on a gate's activations ReLU(pi) in the place of the codes, each at its feature's cost: the
/// mean over rows of sum_i c_i ReLU(pi_i). The magnitudes are left alone, so they do not shrink
/// (Rajamanoharan et al. 2024, "Improving Dictionary Learning with Gated Sparse Autoencoders", arXiv
/// 2404.16014). Where decoder norms are free it is sum_i c_i ReLU(pi_i) |w_i|.
class GateL1 final : public regulon::LossTerm {
 public:
  static void declare(regulon::Declaration<GateL1>& d) {
    d.param("decoder_norms", &GateL1::decoder_norms_)
        .choices({"auto", "on", "off"})
        .doc("multiply each activation by the norm of its decoder row; auto: when norms are not kept at one");
  }
  std::vector<std::string> needs() const override { return {"codes.gate", "costs"}; }

  at::Tensor value(const regulon::StepView& step) override {
    const regulon::Dictionary& dictionary = step.dictionary();
    const bool scaled = decoder_norms_ == "on" || (decoder_norms_ == "auto" && !dictionary.unit_norm());
    const at::Tensor prices = scaled ? step.costs() * dictionary.norms() : step.costs();
    const regulon::Codes gate = step.codes().with_values(step.codes().channel("gate"));
    return regulon::ops::weighted_sum(gate, prices) / static_cast<double>(gate.rows());
  }

 private:
  std::string decoder_norms_ = "auto";
};

REGULON_LOSS_TERM(GateL1, "gate_l1", "Sum of a row's gate activations, each at its feature's cost")
