#pragma once
/// loss_term/1: a number that training makes smaller (or larger, under a negative weight).

#include <regulon/plugin.h>
#include <regulon/step.h>

namespace regulon {

/// Sees a step, returns a scalar. Weight, sign, schedule and rhythm belong to the config, not to the term.
class LossTerm : public Plugin {
 public:
  LossTerm() = default;
  ~LossTerm() override;

  /// The term's value on this step: a scalar (0-dimensional, floating, on the batch's device) that requires
  /// grad. A mean over the rows of the batch, or over features, so that a weight means the same at every
  /// batch size. May return an undefined tensor to sit a step out (a term that only acts in `after_step`
  /// always does).
  virtual at::Tensor value(const StepView& step) = 0;

  /// Called after the optimiser's step, without gradient, if `acts_after_step`: hard constraints and
  /// resampling.
  virtual void after_step(UpdateView& update);
  /// Whether `after_step` is to be called at all, given the parameters.
  virtual bool acts_after_step() const;
};

}  // namespace regulon

/// REGULON_LOSS_TERM(Class, "name", "one line about it"), once in a library, at namespace scope.
#define REGULON_LOSS_TERM(CLASS, NAME, SUMMARY) REGULON_PLUGIN(CLASS, "loss_term/1", NAME, SUMMARY)
