#include <ATen/TensorOperators.h>
#include <regulon/gram.h>
#include <regulon/loss_term.h>
#include <regulon/sums.h>

#include <algorithm>

/// Reconstruction with the decoder rows W [n, d] as both encoder and decoder, without a threshold: the mean
/// over rows x of |s x Wᵀ W - x|² (Le et al. 2011, "ICA with reconstruction cost for efficient overcomplete
/// feature learning", NeurIPS, with s = 1; half of it there). It is zero where s Wᵀ W is the identity on the
/// data: a soft form of orthonormality that also makes sense for more rows than coordinates. There, rows kept
/// at norm one cannot have Wᵀ W = I, whose trace is d and not n; s = min(1, d / n) lets their tight frames
/// have it.
///
/// The data are to have mean zero, as they do where the source normalises them; else take the decoder's bias
/// off. Per row the squares are summed over the d coordinates, or averaged, as in `mse`. Whichever is cheaper
/// is made: the d x d matrix Wᵀ W, for (n + B) d², or the two products of a batch, for 2 B n d. Neither the
/// batch, the bias nor frozen rows get a gradient.
class ReconstructionIca final : public regulon::LossTerm {
 public:
  static void declare(regulon::Declaration<ReconstructionIca>& d) {
    d.param("scale", &ReconstructionIca::scale_)
        .choices({"auto", "one", "frame"})
        .doc("s of s x W'W: 1, or min(1, d / n); auto: the latter where the rows are kept at norm one");
    d.param("subtract_decoder_bias", &ReconstructionIca::centered_)
        .doc("take the decoder's bias off the batch first, for data whose mean is not zero");
    d.param("reduction", &ReconstructionIca::reduction_)
        .choices({"sum", "mean"})
        .doc("over the coordinates of a row: their sum, or their mean (smaller by a factor d)");
  }

  at::Tensor value(const regulon::StepView& step) override {
    const regulon::Dictionary& dictionary = step.dictionary();
    if (dictionary.frozen_rows() == dictionary.features()) return {};
    const at::Tensor batch = centered_ ? step.batch() - dictionary.bias().detach() : step.batch();
    const double n = static_cast<double>(dictionary.features());
    const double d = static_cast<double>(dictionary.width());
    const bool framed = scale_ == "frame" || (scale_ == "auto" && dictionary.unit_norm());
    const at::Tensor rebuilt = rebuild(batch, dictionary) * (framed ? std::min(1.0, d / n) : 1.0);
    const at::Tensor squared = (rebuilt - batch).square();
    return regulon::ops::mean(reduction_ == "mean" ? squared.mean(1) : squared.sum(1));
  }

 private:
  /// x Wᵀ W of every row x: what frozen and new rows make of it adds up.
  static at::Tensor rebuild(const at::Tensor& batch, const regulon::Dictionary& dictionary) {
    const std::int64_t frozen = dictionary.frozen_rows();
    const at::Tensor& weight = dictionary.weight();
    const at::Tensor fixed = weight.narrow(0, 0, frozen).detach();
    const at::Tensor own = weight.narrow(0, frozen, weight.size(0) - frozen);
    const std::int64_t n = weight.size(0);
    if ((n + batch.size(0)) * weight.size(1) <= 2 * batch.size(0) * n) {
      return regulon::ops::matrix_product(batch, regulon::ops::gram(own) + regulon::ops::gram(fixed));
    }
    const auto through = [&](const at::Tensor& rows) {
      return regulon::ops::matrix_product(regulon::ops::matrix_product(batch, rows.t()), rows);
    };
    return frozen == 0 ? through(own) : through(own) + through(fixed);
  }

  std::string scale_ = "auto";
  bool centered_ = false;
  std::string reduction_ = "sum";
};

REGULON_LOSS_TERM(ReconstructionIca, "reconstruction_ica",
                  "Error of rebuilding rows by W'W, the decoder as its own encoder")
