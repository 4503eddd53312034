#include <ATen/ops/full.h>

#include "activations/all.h"

namespace regulon::detail {
namespace {

/// z where z is above a threshold that does not learn, zero by default.
class Relu final : public Activation {
 public:
  static void declare(Declaration<Relu>& d) {
    d.param("threshold", &Relu::threshold_)
        .at_least(0)
        .unit("activation")
        .schedulable()
        .doc("pre-activations up to it are no codes; it does not learn");
  }
  std::vector<std::string> provides() const override {
    return threshold_ > 0 ? std::vector<std::string>{"codes.spare"} : std::vector<std::string>{};
  }
  Selection selection(const ActivationView& view) const override {
    Selection selection;
    if (threshold_ > 0) {
      selection.thresholds = at::full({1}, threshold_, view.dictionary.weight().options());
    }
    return selection;
  }

 private:
  double threshold_ = 0;
};

}  // namespace

PluginDescriptor relu() {
  return describe_activation<Relu>("relu", "Every positive pre-activation is a code");
}

}  // namespace regulon::detail
