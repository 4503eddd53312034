#include <ATen/TensorOperators.h>
#include <ATen/ops/log1p.h>
#include <regulon/loss_term.h>
#include <regulon/ops.h>

/// A penalty that grows ever more slowly: the mean over rows of sum_i c_i ln(1 + f_i / e), where f_i is taken
/// times its decoder row's norm if that is free. That is ln(f_i + e) - ln e, which is zero where a code is:
/// the log penalty of Nabeshima 2024, "Matryoshka Sparse Autoencoders" (e = 0.1), and, long before SAEs, of
/// Candes, Wakin and Boyd 2008, "Enhancing Sparsity by Reweighted L1 Minimization".
class Log final : public regulon::LossTerm {
 public:
  static void declare(regulon::Declaration<Log>& d) {
    d.param("offset", &Log::offset_)
        .above(0)
        .unit("activation")
        .schedulable()
        .doc("e: the penalty is like L1 for values well below it");
    d.param("decoder_norms", &Log::decoder_norms_)
        .choices({"auto", "on", "off"})
        .doc("multiply each value by the norm of its decoder row; auto: when norms are not kept at one");
  }
  std::vector<std::string> needs() const override { return {"codes.gradient", "costs"}; }

  at::Tensor value(const regulon::StepView& step) override {
    const regulon::Codes& codes = step.codes();
    const at::Tensor penalties = at::log1p(regulon::ops::code_sizes(step, decoder_norms_) / offset_);
    return regulon::ops::weighted_sum(codes.with_values(penalties), step.costs()) /
           static_cast<double>(codes.rows());
  }

 private:
  double offset_ = 0.1;
  std::string decoder_norms_ = "auto";
};

REGULON_LOSS_TERM(Log, "log", "Sum of ln(1 + f / offset) of a row's code values")
