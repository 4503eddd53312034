#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/where.h>

#include <limits>

#include "activations/all.h"
#include "activations/rank.h"

namespace regulon::detail {
namespace {

/// The smallest score among the active entries; infinity if none is active. Nothing here is read back from
/// the device: the host would wait.
at::Tensor smallest_score(const Codes& codes, const Selection& selection) {
  const at::Tensor values = codes.values().detach();
  at::Tensor scores = values;
  const auto of_entries = [&](const at::Tensor& by_feature) {
    return by_feature.detach().index_select(0, codes.feature_ids());
  };
  if (selection.score_shift.defined()) scores = scores - of_entries(selection.score_shift);
  if (selection.score_scale.defined()) scores = scores * of_entries(selection.score_scale);
  const at::Tensor infinity = at::full({}, std::numeric_limits<double>::infinity(), values.options());
  return at::where(values.gt(0), scores, infinity).min();
}

/// Bussmann et al. 2024, "BatchTopK Sparse Autoencoders" (arXiv 2412.06410).
class BatchTopK final : public Activation, public Ranking {
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
    declare_on(d);
  }
  std::vector<std::string> provides() const override { return {"codes.spare"}; }
  std::vector<std::string> needs() const override {
    return reads_costs() ? std::vector<std::string>{"costs"} : std::vector<std::string>{};
  }
  void prepare(Preparation& preparation) override {
    const at::ScalarType dtype = preparation.dictionary_weight.scalar_type();
    preparation.state("threshold", threshold_, {1}, dtype);
    preparation.state("seen", seen_, {1}, dtype);
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
    apply(view, selection);
    return selection;
  }
  /// Moves the threshold towards the smallest score kept. The first one is taken whole, so that the average
  /// starts without a bias towards zero.
  void observe(const Codes& codes, const Selection& selection) override {
    if (codes.entries() == 0) return;
    const at::Tensor smallest = smallest_score(codes, selection).to(threshold_.scalar_type());
    const at::Tensor averaged = threshold_ * decay_ + smallest * (1.0 - decay_);
    const at::Tensor moved = at::where(seen_.gt(0), averaged, smallest);
    const at::Tensor any = smallest.isfinite();
    threshold_.copy_(at::where(any, moved, threshold_));
    seen_.logical_or_(any);
  }
  std::map<std::string, double> report() const override { return {{"threshold", threshold_.item<double>()}}; }

 private:
  std::int64_t k_ = 32;
  double decay_ = 0.99;
  at::Tensor threshold_;
  at::Tensor seen_;  ///< 1 once a step has kept something
};

}  // namespace

PluginDescriptor batch_topk() {
  return describe_activation<BatchTopK>(
      "batch_topk", "The k largest a row on average over the batch; a learnt threshold at inference");
}

}  // namespace regulon::detail
