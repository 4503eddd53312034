#pragma once
/// A number that may change with the step.

#include <cstdint>
#include <utility>
#include <vector>

namespace regulon::core {

/// Constant, a ramp between two values in one of several shapes, or straight lines through given points.
///
/// In a config: `0.25`, or `{ from = 0.0, to = 0.25, over = 500 }` with the optional keys `after` (steps
/// before the ramp begins, 0) and `shape` ("linear", "cosine", "exponential"), or `{ points = [[0, 0.0],
/// [500, 0.25], [2000, 0.1]] }`. Before its first and after its last step a schedule holds that value.
class Schedule {
 public:
  enum class Shape { linear, cosine, exponential };
  /// (step, value)
  using Point = std::pair<std::int64_t, double>;

  /// No step of a schedule may lie beyond this.
  static constexpr std::int64_t kLastStep = 1'000'000'000'000'000;

  explicit Schedule(double constant = 0.0);
  /// From `from` at step `after` to `to` at step `after + over`; exponential needs both non-zero and of one
  /// sign. Throws InputError (without a place) that names every argument it cannot take.
  static Schedule ramp(double from, double to, std::int64_t over, std::int64_t after, Shape shape);
  /// Straight lines through (step, value), steps not negative and strictly ascending, at least one point.
  /// Throws InputError (without a place) on anything else.
  static Schedule piecewise(std::vector<Point> points);

  /// The value at `step`; at a corner exactly the corner's value, between two corners never outside of them.
  double at(std::int64_t step) const;
  /// Whether it has the same value at every step.
  bool is_constant() const { return points_.size() == 1; }
  /// Every value at which the schedule starts or ends a piece: for range checks.
  std::vector<double> corner_values() const;

  /// How a ramp gets from one point to the next; linear for all others.
  Shape shape() const { return shape_; }
  /// One for a constant, two for a ramp.
  const std::vector<Point>& points() const { return points_; }

  bool operator==(const Schedule&) const = default;

 private:
  Schedule(std::vector<Point> points, Shape shape);

  Shape shape_ = Shape::linear;
  std::vector<Point> points_;
};

}  // namespace regulon::core
