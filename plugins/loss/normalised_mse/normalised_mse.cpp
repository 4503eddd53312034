#include <ATen/TensorOperators.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <regulon/loss_term.h>
#include <regulon/sums.h>

/// The squared error on the scale of the data, so that a weight means the same whatever the activations'
/// size. By "variance" it is sum |x - xhat|^2 / sum |x - mean x|^2 over the batch: the share of variance that
/// is not explained (Gao et al. 2024, arXiv 2406.04093, normalised by predicting the mean; sparsify's "fvu").
/// By "row_norm" it is the mean over rows of |x - xhat|^2 / |x|^2 (openai/sparse_autoencoder, loss.py), where
/// every row counts alike. What would be divided by zero is left out.
class NormalisedMse final : public regulon::LossTerm {
 public:
  static void declare(regulon::Declaration<NormalisedMse>& d) {
    d.param("by", &NormalisedMse::by_)
        .choices({"variance", "row_norm"})
        .doc("divide by the batch's squared distance from its mean, or each row by its squared norm");
  }

  at::Tensor value(const regulon::StepView& step) override {
    const at::Tensor& batch = step.batch();
    const at::Tensor errors = (batch - step.reconstruction()).square().sum(1);
    if (by_ == "row_norm") return regulon::ops::mean(errors * inverse(batch.square().sum(1)));
    return regulon::ops::total(errors) * inverse(regulon::ops::total((batch - batch.mean(0)).square()));
  }

 private:
  static at::Tensor inverse(const at::Tensor& scale) {
    return at::where(scale > 0, scale.reciprocal(), at::zeros_like(scale));
  }
  std::string by_ = "variance";
};

REGULON_LOSS_TERM(NormalisedMse, "normalised_mse",
                  "Squared error over the batch's variance, or over each row's squared norm")
