#pragma once
/// What a pair costs, and how that changes with its cosine.

#include <regulon/pairs.h>

#include <cmath>
#include <limits>
#include <string>

#include "ops/support.h"

namespace regulon::ops::detail {

/// Throws RunError unless the numbers of the shape that is used are ones that its formula takes.
inline void check_penalty(const std::string& where, const PairPenalty& penalty) {
  using Shape = PairPenalty::Shape;
  const bool convex = penalty.shape == Shape::convex;
  if (!(penalty.cap > 0)) fail(where, "cannot use the cap", "above 0", std::to_string(penalty.cap));
  if (convex && !(penalty.margin >= 0 && penalty.margin < 1))
    fail(where, "cannot use the margin", "in [0, 1)", std::to_string(penalty.margin));
  if (convex && !(penalty.steepness >= 1))
    fail(where, "cannot use the steepness", "at least 1", std::to_string(penalty.steepness));
  if (penalty.shape == Shape::sigmoid && !(penalty.slope > 0))
    fail(where, "cannot use the slope", "above 0", std::to_string(penalty.slope));
}

/// PairPenalty as a function.
class PairCost {
 public:
  struct Value {
    double cost;
    double slope;  ///< derivative by the cosine
  };

  explicit PairCost(const PairPenalty& penalty) : penalty_(penalty) {
    low_ = 1 / (1 + std::exp(penalty.slope / 2));
    scale_ = 1 / (1 - 2 * low_);
    if (penalty.cap >= 1) return;
    at_cap_ = of_size(penalty.cap).cost;
    cap_ = penalty.cap;
  }

  Value operator()(double cosine) const {
    const double size = penalty_.absolute ? std::fabs(cosine) : cosine;
    if (size > cap_) return {at_cap_, 0};
    Value value = of_size(size);
    if (penalty_.absolute) value.slope *= (cosine > 0 ? 1 : 0) - (cosine < 0 ? 1 : 0);
    return value;
  }

 private:
  Value of_size(double size) const {
    switch (penalty_.shape) {
      case PairPenalty::Shape::square:
        return size > 0 ? Value{size * size, 2 * size} : Value{0, 0};
      case PairPenalty::Shape::sigmoid: {
        const double sigmoid = 1 / (1 + std::exp(-penalty_.slope * (size - 0.5)));
        return {(sigmoid - low_) * scale_, penalty_.slope * sigmoid * (1 - sigmoid) * scale_};
      }
      case PairPenalty::Shape::convex: {
        const double over = (size - penalty_.margin) / (1 - penalty_.margin);
        if (over <= 0) return {0, 0};
        const double power = penalty_.steepness == 2 ? over : std::pow(over, penalty_.steepness - 1);
        return {power * over, penalty_.steepness * power / (1 - penalty_.margin)};
      }
      case PairPenalty::Shape::linear:
        break;
    }
    return {size, 1};
  }

  PairPenalty penalty_;
  double low_;    ///< of the logistic curve at zero
  double scale_;  ///< 1 / what it climbs from zero to one
  double at_cap_ = 0;
  double cap_ = std::numeric_limits<double>::infinity();
};

}  // namespace regulon::ops::detail
