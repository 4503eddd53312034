#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/where.h>
#include <regulon/activation.h>

#include <cmath>
#include <limits>

namespace regulon {
namespace {

class Relu final : public Activation {
 public:
  Selection selection(const ActivationView&) const override { return {}; }
};

/// Gao et al. 2024, "Scaling and evaluating sparse autoencoders" (arXiv 2406.04093).
class TopK final : public Activation {
 public:
  static void declare(Declaration<TopK>& d) {
    d.param("k", &TopK::k_)
        .at_least(1)
        .unit("features a row")
        .schedulable()
        .doc("active features of each row");
    d.param("rescale_by_decoder_norm", &TopK::rescale_)
        .doc("rank by pre-activation times the norm of the feature's decoder row");
  }
  Selection selection(const ActivationView& view) const override {
    Selection selection;
    selection.family = Selection::Family::rank;
    selection.k = k_;
    if (rescale_) selection.score_scale = view.dictionary.norms();
    return selection;
  }

 private:
  std::int64_t k_ = 32;
  bool rescale_ = false;
};

/// Bussmann et al. 2024, "BatchTopK Sparse Autoencoders" (arXiv 2412.06410).
class BatchTopK final : public Activation {
 public:
  static void declare(Declaration<BatchTopK>& d) {
    d.param("k", &BatchTopK::k_)
        .at_least(1)
        .unit("features a row")
        .schedulable()
        .doc("active features of a row, on average over the batch");
    d.param("decay", &BatchTopK::decay_)
        .at_least(0)
        .below(1)
        .unit("per step")
        .doc("how much of the inference threshold each step keeps");
  }
  void prepare(Preparation& preparation) override {
    preparation.state("threshold", threshold_, {1}, preparation.dictionary_weight.scalar_type());
  }
  Selection selection(const ActivationView& view) const override {
    Selection selection;
    if (view.training) {
      selection.family = Selection::Family::rank;
      selection.scope = Selection::Scope::batch;
      selection.k = k_;
    } else {
      selection.thresholds = threshold_;
    }
    return selection;
  }
  /// Moves the threshold towards the smallest value kept. Zero means that nothing was seen yet: kept values
  /// are positive, so the first one is taken whole, and the average starts without a bias towards zero.
  void observe(const Codes& codes) override {
    if (codes.is_sparse() && codes.values().numel() == 0) return;
    const at::Tensor values = (codes.is_sparse() ? codes.values() : codes.to_dense()).detach();
    const at::Tensor infinity = at::full({}, std::numeric_limits<double>::infinity(), values.options());
    const at::Tensor smallest = at::where(values.gt(0), values, infinity).min().to(threshold_.scalar_type());
    // All choices stay on the device: reading a number back would make the host wait.
    const at::Tensor averaged = threshold_ * decay_ + smallest * (1.0 - decay_);
    const at::Tensor moved = at::where(threshold_.gt(0), averaged, smallest);
    threshold_.copy_(at::where(smallest.isfinite(), moved, threshold_));
  }
  std::map<std::string, double> report() const override { return {{"threshold", threshold_.item<double>()}}; }

 private:
  std::int64_t k_ = 32;
  double decay_ = 0.999;
  at::Tensor threshold_;
};

/// Rajamanoharan et al. 2024, "Jumping Ahead" (arXiv 2407.14435): theta is learnt through its logarithm.
class JumpRelu final : public Activation {
 public:
  static void declare(Declaration<JumpRelu>& d) {
    d.param("threshold", &JumpRelu::initial_)
        .above(0)
        .unit("activation")
        .doc("theta of every feature at first");
    d.param("bandwidth", &JumpRelu::bandwidth_)
        .above(0)
        .unit("activation")
        .doc("width of the window around theta in which theta gets its straight-through gradient");
  }
  std::vector<std::string> provides() const override { return {"codes.open"}; }
  void prepare(Preparation& preparation) override {
    const at::Tensor& weight = preparation.dictionary_weight;
    preparation.parameter("log_threshold", log_threshold_,
                          at::full({preparation.features}, std::log(initial_), weight.options()));
  }
  Selection selection(const ActivationView&) const override {
    Selection selection;
    selection.thresholds = log_threshold_.exp();
    selection.window = bandwidth_;
    return selection;
  }
  std::map<std::string, double> report() const override {
    return {{"threshold", log_threshold_.detach().exp().mean().item<double>()}};
  }

 private:
  double initial_ = 0.001;
  double bandwidth_ = 0.001;
  at::Tensor log_threshold_;
};

template <class T>
PluginDescriptor activation(const char* name, const char* summary) {
  return describe_plugin<T>("activation/1", name, summary);
}

}  // namespace

const std::vector<PluginDescriptor>& activations() {
  static const std::vector<PluginDescriptor> all = {
      activation<Relu>("relu", "Every positive pre-activation is a code"),
      activation<TopK>("topk", "The k largest pre-activations of each row"),
      activation<BatchTopK>("batch_topk",
                            "The k largest a row on average over the batch; a learnt threshold at inference"),
      activation<JumpRelu>("jumprelu", "Pre-activations above a threshold that each feature learns"),
  };
  return all;
}

}  // namespace regulon
