#include <ATen/TensorOperators.h>
#include <regulon/loss_term.h>
#include <regulon/sums.h>

/// What the term is for, and where its formula comes from (paper, equation). Here: the mean over rows of the
/// sum over active features of value^power, each times what its feature costs.
class MyLoss final : public regulon::LossTerm {
 public:
  /// What a config may set. Checked before the first step; `./regulon plugins my_loss --plugin-path
  /// build/plugins` lists it.
  static void declare(regulon::Declaration<MyLoss>& d) {
    d.param("power", &MyLoss::power_).at_least(1).at_most(4).schedulable().doc("of each code");
  }
  /// What an encoder, an activation or a [cost] has to be there for; see plugin.h.
  std::vector<std::string> needs() const override { return {"costs"}; }

  /// A scalar with gradient, the mean over the rows of the batch. Weight, sign and schedule are the config's.
  /// Random numbers come from step.generator(); what is kept from step to step is registered in `prepare`.
  at::Tensor value(const regulon::StepView& step) override {
    const regulon::Codes& codes = step.codes();
    const at::Tensor prices = step.costs().index_select(0, codes.feature_ids());
    return regulon::ops::total(codes.values().pow(power_) * prices) / codes.rows();
  }

 private:
  double power_ = 1.0;
};

REGULON_LOSS_TERM(MyLoss, "my_loss", "A power of the codes, times what their features cost")
