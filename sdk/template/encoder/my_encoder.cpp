#include <ATen/ops/zeros.h>
#include <regulon/encoder.h>
#include <regulon/ops.h>

/// What the encoder is for, and where it comes from (paper, equation). Here: one product with a direction and
/// a bias for each feature.
class MyEncoder final : public regulon::Encoder {
 public:
  /// What a config may set. Checked before the first step; `./regulon plugins my_encoder --plugin-path
  /// build/plugins` lists it.
  static void declare(regulon::Declaration<MyEncoder>& d) {
    d.param("initial_bias", &MyEncoder::initial_bias_).doc("of every feature, before training");
  }
  /// What others may rely on; see plugin.h.
  std::vector<std::string> provides() const override {
    return {"encoder.directions", "encoder.untied", "codes.gradient"};
  }

  /// What is learnt, and (with `state`) what is kept: the core saves both and restores them on resume.
  void prepare(regulon::Preparation& preparation) override {
    const at::Tensor& rows = preparation.dictionary_weight;
    preparation.parameter("weight", weight_, rows);
    preparation.parameter("bias", bias_,
                          at::zeros({preparation.features}, rows.options()).add_(initial_bias_));
  }

  /// Codes [B, n] of a batch [B, d]. Which pre-activations become codes is the activation's business: hand on
  /// `view.selection`.
  regulon::Codes encode(const regulon::EncodeView& view) override {
    return regulon::ops::select_product({view.batch, weight_, bias_, view.dictionary.bias()}, view.selection);
  }
  at::Tensor directions(const regulon::Dictionary& /*dictionary*/) const override { return weight_; }

 private:
  double initial_bias_ = 0.0;
  at::Tensor weight_;  ///< [n, d]
  at::Tensor bias_;    ///< [n]
};

REGULON_ENCODER(MyEncoder, "my_encoder", "One product with a direction and a bias per feature")
