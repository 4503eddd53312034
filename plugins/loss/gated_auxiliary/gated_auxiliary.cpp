#include <ATen/TensorOperators.h>
#include <regulon/loss_term.h>
#include <regulon/ops.h>
#include <regulon/sums.h>

/// Keeps a gate's activations ReLU(pi) able to reconstruct the batch by themselves: the mean over rows of
/// |x - xhat(ReLU(pi))|^2, with the dictionary as a constant, so that only the gate learns by it
/// (Rajamanoharan et al. 2024, "Improving Dictionary Learning with Gated Sparse Autoencoders", arXiv
/// 2404.16014, equation 8).
class GatedAuxiliary final : public regulon::LossTerm {
 public:
  static void declare(regulon::Declaration<GatedAuxiliary>& d) {
    d.param("freeze_dictionary", &GatedAuxiliary::freeze_dictionary_)
        .doc("the dictionary is a constant here, as in the paper; false: it learns too, as in SAELens");
  }
  std::vector<std::string> needs() const override { return {"codes.gate"}; }

  at::Tensor value(const regulon::StepView& step) override {
    const regulon::Codes gate = step.codes().with_values(step.codes().channel("gate"));
    const regulon::Dictionary dictionary =
        freeze_dictionary_ ? step.dictionary().detach() : step.dictionary();
    return regulon::ops::mean((step.batch() - regulon::ops::decode(gate, dictionary)).square().sum(1));
  }

 private:
  bool freeze_dictionary_ = true;
};

REGULON_LOSS_TERM(GatedAuxiliary, "gated_auxiliary",
                  "Squared error of the reconstruction by a gate's activations")
