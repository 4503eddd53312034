#include <ATen/ops/zeros.h>
#include <regulon/encoder.h>
#include <regulon/ops.h>

/// z = (x - b_dec) W^T + b, the usual encoder of a sparse autoencoder (Bricken et al. 2023, "Towards
/// Monosemanticity"). Untied, W starts as the decoder's rows; tied, it stays the decoder.
class Linear final : public regulon::Encoder {
 public:
  static void declare(regulon::Declaration<Linear>& d) {
    d.param("tied", &Linear::tied_).doc("use the decoder's rows as the encoder's weight");
    d.param("subtract_decoder_bias", &Linear::subtract_decoder_bias_)
        .doc("encode the batch with the decoder's bias taken off first");
    d.param("initial_l0", &Linear::initial_l0_)
        .at_least(0)
        .unit("features a row")
        .doc(
            "biases at first such that each feature passes zero in initial_l0 / n of the data sample, but "
            "in at least one row; 0: zeros");
  }
  std::vector<std::string> provides() const override {
    std::vector<std::string> words = {"encoder.directions", "encoder.product", "codes.gradient"};
    if (!tied_) words.emplace_back("encoder.untied");
    return words;
  }

  void prepare(regulon::Preparation& preparation) override {
    const at::Tensor& rows = preparation.dictionary_weight;
    if (!tied_) preparation.parameter("weight", weight_, rows);
    const at::Tensor center = subtract_decoder_bias_ ? preparation.dictionary_bias : at::Tensor();
    preparation.parameter("bias", bias_,
                          initial_l0_ > 0
                              ? regulon::ops::bias_for_l0({preparation.sample, rows, {}, center}, initial_l0_)
                              : at::zeros({preparation.features}, rows.options()));
  }

  regulon::Codes encode(const regulon::EncodeView& view) override {
    const at::Tensor center = subtract_decoder_bias_ ? view.dictionary.bias() : at::Tensor();
    return regulon::ops::select_product({view.batch, directions(view.dictionary), bias_, center},
                                        view.selection);
  }
  at::Tensor directions(const regulon::Dictionary& dictionary) const override {
    return tied_ ? dictionary.weight() : weight_;
  }

 private:
  bool tied_ = false;
  bool subtract_decoder_bias_ = true;
  double initial_l0_ = 0;
  at::Tensor weight_;
  at::Tensor bias_;
};

REGULON_ENCODER(Linear, "linear",
                "One product: a direction and a bias per feature, tied to the decoder or not")
