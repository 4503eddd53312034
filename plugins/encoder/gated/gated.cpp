#include <ATen/TensorOperators.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/zeros.h>
#include <regulon/encoder.h>
#include <regulon/ops.h>

/// Which features are active is told by a gate, pi = (x - b_dec) W^T + b_gate; how strongly, by a magnitude
/// with the same directions, ReLU(exp(r) (x - b_dec) W^T + b_mag): Rajamanoharan et al. 2024, "Improving
/// Dictionary Learning with Gated Sparse Autoencoders" (arXiv 2404.16014), whose gate is the selection
/// "relu".
///
/// The selection chooses by pi; the codes carry the gate's activation, ReLU(pi), as the channel "gate". The
/// step from gate to codes has no gradient: the gate's bias learns only from terms that need "codes.gate",
/// such as gated_auxiliary and gate_l1, or under jumprelu, with `gradient_to_input`, through theta's window.
class Gated final : public regulon::Encoder {
 public:
  static void declare(regulon::Declaration<Gated>& d) {
    d.param("subtract_decoder_bias", &Gated::subtract_decoder_bias_)
        .doc("encode the batch with the decoder's bias taken off first");
    d.param("initial_l0", &Gated::initial_l0_)
        .at_least(0)
        .unit("features a row")
        .doc(
            "gate biases at first such that each feature passes in initial_l0 / n of the data sample, but "
            "in at least one row; 0: zeros");
  }
  std::vector<std::string> provides() const override {
    return {"encoder.directions", "encoder.untied", "encoder.gated_product", "codes.gradient", "codes.gate"};
  }

  void prepare(regulon::Preparation& preparation) override {
    const at::Tensor& rows = preparation.dictionary_weight;
    const at::Tensor zeros = at::zeros({preparation.features}, rows.options());
    const at::Tensor center = subtract_decoder_bias_ ? preparation.dictionary_bias : at::Tensor();
    preparation.parameter("weight", weight_, rows);
    preparation.parameter("gate_bias", gate_bias_,
                          initial_l0_ > 0
                              ? regulon::ops::bias_for_l0({preparation.sample, rows, {}, center}, initial_l0_)
                              : zeros);
    preparation.parameter("magnitude_bias", magnitude_bias_, zeros);
    preparation.parameter("log_scale", log_scale_, zeros);
  }

  regulon::Codes encode(const regulon::EncodeView& view) override {
    const at::Tensor center = subtract_decoder_bias_ ? view.dictionary.bias() : at::Tensor();
    // The magnitude uses the product without the gate's bias, which must get no gradient from there.
    const regulon::Codes chosen = regulon::ops::select_product(
        {view.batch, weight_, gate_bias_.detach(), center}, with_gate_bias(view.selection));
    const auto of_entries = [&](const at::Tensor& by_feature) {
      return by_feature.index_select(0, chosen.feature_ids());
    };
    const at::Tensor& pi = chosen.values();
    const at::Tensor active = (pi.detach() > 0).to(pi.scalar_type());  // zero for near misses of a threshold
    const at::Tensor magnitude =
        at::relu((pi - of_entries(gate_bias_.detach())) * of_entries(log_scale_.exp()) +
                 of_entries(magnitude_bias_)) *
        active;
    const at::Tensor gate = pi + of_entries(gate_bias_ - gate_bias_.detach()) * active;
    if (!chosen.has_channel("open")) return chosen.with_values(magnitude).with_channel("gate", gate);
    const at::Tensor& open = chosen.channel("open");
    const at::Tensor correction =
        of_entries(jump(view.selection)) - of_entries(log_scale_.detach().exp() * edge(view.selection)) *
                                               (magnitude.detach() > 0).to(pi.scalar_type());
    return chosen.with_values(magnitude + correction * (open - open.detach()))
        .with_channel("gate", gate)
        .with_channel("open", open);
  }
  at::Tensor directions(const regulon::Dictionary&) const override { return weight_; }

 private:
  /// A window's gradient that reaches pi also belongs to the gate's bias. To the threshold it goes with the
  /// opposite sign, so the bias takes it there, less itself: not a bit of the threshold changes.
  regulon::Selection with_gate_bias(regulon::Selection selection) const {
    if (!selection.window_to_input || !selection.thresholds.defined()) return selection;
    selection.thresholds = selection.thresholds - (gate_bias_ - gate_bias_.detach());
    return selection;
  }
  /// [n]: pi where its score equals the threshold.
  at::Tensor edge(const regulon::Selection& selection) const {
    return regulon::ops::threshold_edges(selection, selection.thresholds.detach().expand_as(gate_bias_));
  }
  /// [n]: what a code jumps by at the threshold: its magnitude there, where select_product jumps by pi.
  at::Tensor jump(const regulon::Selection& selection) const {
    const at::Tensor product = edge(selection) - gate_bias_.detach();
    return at::relu(product * log_scale_.detach().exp() + magnitude_bias_.detach());
  }

  bool subtract_decoder_bias_ = true;
  double initial_l0_ = 0;
  at::Tensor weight_;          ///< [n, d]
  at::Tensor gate_bias_;       ///< [n]
  at::Tensor magnitude_bias_;  ///< [n]
  at::Tensor log_scale_;       ///< [n]: r
};

REGULON_ENCODER(Gated, "gated",
                "A gate chooses the active features, a magnitude with the same directions says how strongly")
