#include <ATen/TensorOperators.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/full.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "activations/all.h"

namespace regulon::detail {
namespace {

using Kernel = Selection::Kernel;

constexpr std::array<std::pair<const char*, Kernel>, 6> kKernels = {{{"box", Kernel::box},
                                                                     {"triangle", Kernel::triangle},
                                                                     {"epanechnikov", Kernel::epanechnikov},
                                                                     {"quartic", Kernel::quartic},
                                                                     {"cosine", Kernel::cosine},
                                                                     {"gaussian", Kernel::gaussian}}};

std::vector<std::string> kernel_names() {
  std::vector<std::string> names;
  names.reserve(kKernels.size());
  for (const auto& [name, kernel] : kKernels) names.emplace_back(name);
  return names;
}

/// z H(z - theta) with a theta that each feature learns: Rajamanoharan et al. 2024, "Jumping Ahead: Improving
/// Reconstruction Fidelity with JumpReLU Sparse Autoencoders" (arXiv 2407.14435). They learn log theta, which
/// keeps theta above zero; public trainers learn theta itself, kept at or above zero after each step, since a
/// small theta hardly moves through its logarithm. `gradient_to_input` is Anthropic's variant (Transformer
/// Circuits, January 2025), in which the encoder gets the straight-through gradient too.
class JumpRelu final : public Activation {
 public:
  static void declare(Declaration<JumpRelu>& d) {
    d.param("threshold", &JumpRelu::initial_)
        .above(0)
        .unit("activation")
        .doc("theta of every feature at first");
    d.param("threshold_l0", &JumpRelu::initial_l0_)
        .at_least(0)
        .unit("features a row")
        .doc(
            "instead of `threshold`: theta at first such that so many features are active in the data "
            "sample; "
            "0: as `threshold` says");
    d.param("learn", &JumpRelu::learn_)
        .choices({"log", "linear"})
        .doc("what the optimiser moves: log theta, or theta itself, kept at or above zero");
    d.param("bandwidth", &JumpRelu::bandwidth_)
        .above(0)
        .unit("activation")
        .schedulable()
        .doc("width of the window around theta in which theta gets its straight-through gradient");
    d.param("kernel", &JumpRelu::kernel_)
        .choices(kernel_names())
        .doc("weight of the straight-through gradient inside the window");
    d.param("gradient_to_input", &JumpRelu::to_input_)
        .doc("the straight-through gradient also reaches the encoder");
  }
  std::vector<std::string> provides() const override { return {"codes.open", "codes.spare"}; }

  void prepare(Preparation& preparation) override {
    const at::TensorOptions options = preparation.dictionary_weight.options();
    const at::Tensor start = at::full({preparation.features}, in_form(initial_), options);
    const std::string name = learn_ == "log" ? "log_threshold" : "threshold";
    preparation.parameter(name, theta_, start);
  }

  /// Every theta becomes the smallest of the rows * initial_l0 largest pre-activations of the sample: the
  /// codes' values, or their gate's where there is one, since the codes are magnitudes there.
  void start(const std::function<Codes(const Selection&)>& encode_sample) override {
    if (initial_l0_ == 0) return;
    Selection largest;
    largest.family = Selection::Family::rank;
    largest.scope = Selection::Scope::batch;
    largest.k = initial_l0_;
    const Codes codes = encode_sample(largest);
    const at::Tensor& compared = codes.has_channel("gate") ? codes.channel("gate") : codes.values();
    const at::Tensor positive = compared.masked_select(compared > 0);
    if (positive.numel() == 0)
      return;  // nothing fires on the sample: there is no better value than `threshold`
    theta_.fill_(in_form(positive.min().item<double>()));
  }

  Selection selection(const ActivationView&) const override {
    Selection selection;
    selection.thresholds = learn_ == "log" ? theta_.exp() : theta_;
    selection.window = bandwidth_;
    selection.window_to_input = to_input_;
    const auto* found = std::find_if(kKernels.begin(), kKernels.end(),
                                     [this](const auto& entry) { return kernel_ == entry.first; });
    selection.kernel = found->second;
    return selection;
  }

  void observe(const Codes&, const Selection&) override {
    if (learn_ == "linear") theta_.clamp_min_(0);
  }

  std::map<std::string, double> report() const override {
    const at::Tensor theta = theta_.detach();
    return {{"threshold", (learn_ == "log" ? theta.exp() : theta).mean().item<double>()}};
  }

 private:
  double in_form(double theta) const { return learn_ == "log" ? std::log(theta) : theta; }

  double initial_ = 0.001;
  std::int64_t initial_l0_ = 0;
  std::string learn_ = "log";
  double bandwidth_ = 0.001;
  std::string kernel_ = "box";
  bool to_input_ = false;
  at::Tensor theta_;  ///< [n]: theta or its logarithm
};

}  // namespace

PluginDescriptor jumprelu() {
  return describe_activation<JumpRelu>("jumprelu",
                                       "Pre-activations above a threshold that each feature learns");
}

}  // namespace regulon::detail
