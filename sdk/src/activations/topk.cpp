#include "activations/all.h"
#include "activations/rank.h"

namespace regulon::detail {
namespace {

/// Gao et al. 2024, "Scaling and evaluating sparse autoencoders" (arXiv 2406.04093).
class TopK final : public Activation, public Ranking {
 public:
  static void declare(Declaration<TopK>& d) {
    d.param("k", &TopK::k_)
        .at_least(1)
        .unit("features a row")
        .schedulable()
        .doc("active features of each row");
    declare_on(d);
  }
  std::vector<std::string> provides() const override { return {"codes.spare"}; }
  std::vector<std::string> needs() const override {
    return reads_costs() ? std::vector<std::string>{"costs"} : std::vector<std::string>{};
  }
  Selection selection(const ActivationView& view) const override {
    Selection selection;
    selection.family = Selection::Family::rank;
    selection.k = k_;
    apply(view, selection);
    return selection;
  }

 private:
  std::int64_t k_ = 32;
};

}  // namespace

PluginDescriptor topk() {
  return describe_activation<TopK>("topk", "The k largest pre-activations of each row");
}

}  // namespace regulon::detail
