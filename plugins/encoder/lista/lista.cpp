#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <regulon/encoder.h>
#include <regulon/ops.h>

/// An encoder that looks at what its codes leave unexplained and encodes that too, T times over: z_0 = (x -
/// b_dec) W^T + b, a_t = select(z_t), z_(t+1) = z_t + eta_t (x - xhat(a_t)) W^T. Unrolled proximal gradient
/// steps whose proximal map is the selection (Gregor & LeCun 2010, "Learning Fast Approximations of Sparse
/// Coding"; the form with pre-activations that add up is that of SynthSAEBench's LISTA encoder, T = 1).
///
/// Since W is shared, z_t is one product of an input that adds up, u_t = x + sum_(s<t) eta_s (x - xhat(a_s)),
/// so each step costs a screened product. With weights of its own, step t has W_t and b_t on the same u_t.
class Lista final : public regulon::Encoder {
 public:
  static void declare(regulon::Declaration<Lista>& d) {
    d.param("refinements", &Lista::refinements_)
        .at_least(0)
        .at_most(1000)
        .unit("steps")
        .doc("T; with 0 this is the linear encoder");
    d.param("own_weights", &Lista::own_weights_).doc("each step has a weight and a bias of its own");
    d.param("eta", &Lista::initial_eta_).above(0).doc("share of the residual that a step adds, at first");
    d.param("learn_eta", &Lista::learn_eta_).doc("learn eta, one for each step; or keep it as it is");
    d.param("subtract_decoder_bias", &Lista::subtract_decoder_bias_)
        .doc("encode the batch with the decoder's bias taken off first");
  }
  std::vector<std::string> provides() const override {
    return {"encoder.directions", "encoder.untied", "codes.gradient"};
  }

  void prepare(regulon::Preparation& preparation) override {
    const at::Tensor& rows = preparation.dictionary_weight;
    const auto count = static_cast<std::size_t>(own_weights_ ? refinements_ + 1 : 1);
    products_.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      const std::string suffix = own_weights_ ? fmt::format(".{}", i) : "";
      preparation.parameter("weight" + suffix, products_[i].weight, rows);
      preparation.parameter("bias" + suffix, products_[i].bias,
                            at::zeros({preparation.features}, rows.options()));
    }
    eta_ = at::full({refinements_, 1}, initial_eta_, rows.options());
    if (learn_eta_ && refinements_ > 0) preparation.parameter("eta", eta_, eta_);
  }

  regulon::Codes encode(const regulon::EncodeView& view) override {
    at::Tensor input = view.batch;
    for (std::int64_t step = 0; step < refinements_; ++step) {
      const regulon::Codes codes = product(view, input, step);
      const at::Tensor residual = view.batch - regulon::ops::decode(codes, view.dictionary);
      input = input + scaled(residual, eta_.narrow(0, step, 1));
    }
    return product(view, input, refinements_);
  }
  at::Tensor directions(const regulon::Dictionary&) const override { return products_.back().weight; }

 private:
  struct StepProduct {
    at::Tensor weight;  ///< [n, d]
    at::Tensor bias;    ///< [n]
  };

  regulon::Codes product(const regulon::EncodeView& view, const at::Tensor& input, std::int64_t step) const {
    const StepProduct& own = products_[own_weights_ ? static_cast<std::size_t>(step) : 0];
    const at::Tensor center = subtract_decoder_bias_ ? view.dictionary.bias() : at::Tensor();
    return regulon::ops::select_product({input, own.weight, own.bias, center}, view.selection);
  }
  /// residual [B, d] times eta [1, 1]; eta's gradient is one dot product whose bits do not depend on threads.
  static at::Tensor scaled(const at::Tensor& residual, const at::Tensor& eta) {
    if (!eta.requires_grad()) return residual * eta;
    return regulon::ops::decode(regulon::Codes::dense(residual.reshape({-1, 1})), eta, {})
        .reshape_as(residual);
  }

  std::int64_t refinements_ = 1;
  bool own_weights_ = false;
  double initial_eta_ = 0.3;
  bool learn_eta_ = false;
  bool subtract_decoder_bias_ = true;
  std::vector<StepProduct> products_;
  at::Tensor eta_;  ///< [T, 1]
};

REGULON_ENCODER(Lista, "lista",
                "A linear encoder that encodes what its codes leave unexplained, T times over")
