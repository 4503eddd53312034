#pragma once
/// What the activations that rank have in common: what they rank by, and what a feature takes of k.

#include <regulon/activation.h>

#include <string>

namespace regulon::detail {

/// Adds decoder norms and feature costs to the scores of a selection.
///
/// With norms |w| and costs c the score is z |w|, less mu c, or over c. Under "divide" the costs are also
/// what features take of the budget: the best are taken in order while their costs, scaled to mean one over
/// the features, add up to no more than k.
class Ranking {
 public:
  /// Declares the keys on a class `T` that derives from Ranking.
  template <class T>
  static void declare_on(Declaration<T>& d) {
    d.param("rescale_by_decoder_norm", static_cast<bool T::*>(&T::rescale_))
        .doc("rank by pre-activation times the norm of the feature's decoder row");
    d.param("cost_in_selection", static_cast<std::string T::*>(&T::cost_mode_))
        .choices({"none", "subtract", "divide"})
        .doc("subtract: rank by z - mu c; divide: rank by z / c, and the costs, not the number, add up to k");
    d.param("cost_weight", static_cast<double T::*>(&T::cost_weight_))
        .at_least(0)
        .unit("activation")
        .schedulable()
        .doc("mu of cost_in_selection = \"subtract\"");
  }
  bool reads_costs() const { return cost_mode_ != "none"; }
  /// Sets the scores of `selection`, and the prices where it ranks.
  void apply(const ActivationView& view, Selection& selection) const;

 protected:
  bool rescale_ = false;
  std::string cost_mode_ = "none";
  double cost_weight_ = 0.1;
};

}  // namespace regulon::detail
