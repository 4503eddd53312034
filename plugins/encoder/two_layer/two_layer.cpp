#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linalg_solve.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <regulon/encoder.h>
#include <regulon/ops.h>

#include <cmath>

/// Hidden layers before the product that the selection chooses from: z = h W^T + b with h = act(... act((x -
/// b_dec) W_0^T + b_0) ...), and with `skip` z = [h, x - b_dec] W^T + b. A product alone cannot solve for
/// sparse codes; hidden layers close part of that gap (O'Neill et al. 2024, "Compute Optimal Inference and
/// Provable Amortisation Gap in Sparse Autoencoders", arXiv 2411.13117).
///
/// It starts near the linear encoder with the decoder's rows: with `skip` as that encoder, without as the one
/// whose x - b_dec is what the first hidden layers, drawn at random, tell of it by least squares.
class TwoLayer final : public regulon::Encoder {
 public:
  static void declare(regulon::Declaration<TwoLayer>& d) {
    d.param("hidden", &TwoLayer::hidden_)
        .at_least(1)
        .at_most(1 << 24)
        .unit("units")
        .required()
        .doc("widths of the hidden layers, first to last");
    d.param("hidden_activation", &TwoLayer::function_).choices({"relu", "gelu"}).doc("of the hidden layers");
    d.param("skip", &TwoLayer::skip_).doc("the last product also sees the batch itself");
    d.param("subtract_decoder_bias", &TwoLayer::subtract_decoder_bias_)
        .doc("encode the batch with the decoder's bias taken off first");
  }
  std::vector<std::string> provides() const override { return {"codes.gradient"}; }

  void prepare(regulon::Preparation& preparation) override {
    const at::Tensor& rows = preparation.dictionary_weight;
    layers_.resize(hidden_.size());
    std::int64_t inputs = preparation.width;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      // Variances stay as they are through relu (He et al. 2015, "Delving Deep into Rectifiers").
      const double size = std::sqrt(2.0 / static_cast<double>(inputs));
      const at::Tensor drawn =
          at::randn({hidden_[i], inputs}, preparation.generator, rows.options().device(at::kCPU)) * size;
      preparation.parameter(fmt::format("hidden.{}.weight", i), layers_[i].weight, drawn.to(rows.device()));
      preparation.parameter(fmt::format("hidden.{}.bias", i), layers_[i].bias,
                            at::zeros({hidden_[i]}, rows.options()));
      inputs = hidden_[i];
    }
    preparation.parameter("weight", weight_, initial_weight(preparation));
    preparation.parameter("bias", bias_, at::zeros({preparation.features}, rows.options()));
  }

  regulon::Codes encode(const regulon::EncodeView& view) override {
    const at::Tensor center = subtract_decoder_bias_ ? view.dictionary.bias() : at::Tensor();
    const at::Tensor hidden = hidden_of(view.batch, center);
    if (!skip_) return regulon::ops::select_product({hidden, weight_, bias_, {}}, view.selection);
    const at::Tensor beside =
        center.defined() ? center : at::zeros({view.batch.size(1)}, view.batch.options());
    return regulon::ops::select_product({at::cat({hidden, view.batch}, 1), weight_, bias_,
                                         at::cat({at::zeros({hidden.size(1)}, hidden.options()), beside})},
                                        view.selection);
  }

 private:
  struct Layer {
    at::Tensor weight;  ///< [units, inputs]
    at::Tensor bias;    ///< [units]
  };

  /// [B, last hidden width]. Products are ops::decode of dense codes, whose bits do not depend on threads.
  at::Tensor hidden_of(const at::Tensor& batch, const at::Tensor& center) const {
    at::Tensor rows = batch;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const at::Tensor weight = layers_[i].weight.t();
      at::Tensor bias = layers_[i].bias;
      if (i == 0 && center.defined()) bias = bias - product(center.unsqueeze(0), weight, {}).squeeze(0);
      rows = product(rows, weight, bias);
      rows = function_ == "gelu" ? at::gelu(rows) : at::relu(rows);
    }
    return rows;
  }
  static at::Tensor product(const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias) {
    return regulon::ops::decode(regulon::Codes::dense(rows), weight, bias);
  }

  /// [n, last width (+ d)]: see the class.
  at::Tensor initial_weight(const regulon::Preparation& preparation) const {
    const at::Tensor& rows = preparation.dictionary_weight;
    const std::int64_t width = hidden_.back();
    if (skip_) return at::cat({at::zeros({rows.size(0), width}, rows.options()), rows}, 1);
    const at::Tensor center = subtract_decoder_bias_ ? preparation.dictionary_bias : at::Tensor();
    const at::Tensor sample = preparation.sample;
    const at::Tensor hidden = hidden_of(sample, center).detach();
    const at::Tensor target = center.defined() ? sample - center : sample;
    const at::Tensor gram = at::matmul(hidden.t(), hidden);
    const double ridge = 1e-3 * gram.diagonal().mean().item<double>() + 1e-12;
    const at::Tensor back =
        at::linalg_solve(gram + ridge * at::eye(width, gram.options()), at::matmul(hidden.t(), target));
    return at::matmul(rows, back.t());
  }

  std::vector<std::int64_t> hidden_ = {};
  std::string function_ = "relu";
  bool skip_ = false;
  bool subtract_decoder_bias_ = true;
  std::vector<Layer> layers_;
  at::Tensor weight_;
  at::Tensor bias_;
};

REGULON_ENCODER(TwoLayer, "two_layer", "Hidden layers before the product that codes are chosen from")
