#include "core/config/schedule.h"

#include <fmt/format.h>
#include <regulon/error.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

namespace regulon::core {
namespace {

void check_value(double value, const std::string& name, std::vector<Problem>& problems) {
  if (!std::isfinite(value)) {
    problems.push_back(
        {"", fmt::format("'{}' is not finite", name), "a finite number", fmt::format("{}", value), ""});
  }
}

/// The share of the way from the first value to the second, `t` of the way from the first step to the second.
double between(double first, double second, double t, Schedule::Shape shape) {
  double value = 0.0;
  switch (shape) {
    case Schedule::Shape::linear:
      value = (1.0 - t) * first + t * second;
      break;
    case Schedule::Shape::cosine: {
      const double share = 0.5 * (1.0 - std::cos(std::numbers::pi * t));
      value = (1.0 - share) * first + share * second;
      break;
    }
    case Schedule::Shape::exponential:
      // By logarithms of magnitudes: the ratio of the two values may overflow.
      value = std::copysign(std::exp((1.0 - t) * std::log(std::abs(first)) + t * std::log(std::abs(second))),
                            first);
      break;
  }
  // Rounding must not carry a value out of the range that its corners were checked against.
  return std::clamp(value, std::min(first, second), std::max(first, second));
}

}  // namespace

Schedule::Schedule(double constant) : points_{{0, constant}} {}

/// Takes checked points; equal values all along become a constant, so that equal schedules compare equal.
Schedule::Schedule(std::vector<Point> points, Shape shape) : shape_(shape), points_(std::move(points)) {
  const double first = points_.front().second;
  const bool constant =
      std::all_of(points_.begin(), points_.end(), [first](const Point& p) { return p.second == first; });
  if (constant) {
    points_ = {{0, first}};
    shape_ = Shape::linear;
  }
}

Schedule Schedule::ramp(double from, double to, std::int64_t over, std::int64_t after, Shape shape) {
  std::vector<Problem> problems;
  check_value(from, "from", problems);
  check_value(to, "to", problems);
  if (over < 1 || over > kLastStep) {
    problems.push_back({"", "'over' is out of range",
                        fmt::format("a number of steps from 1 to {}", kLastStep), fmt::format("{}", over),
                        ""});
  }
  if (after < 0 || after > kLastStep) {
    problems.push_back({"", "'after' is out of range",
                        fmt::format("a number of steps from 0 to {}", kLastStep), fmt::format("{}", after),
                        ""});
  }
  if (shape == Shape::exponential && (from == 0.0 || to == 0.0 || (from < 0.0) != (to < 0.0))) {
    problems.push_back({"", "an exponential schedule cannot reach or pass zero",
                        "'from' and 'to' both above or both below zero", fmt::format("{} to {}", from, to),
                        "begin at a small number instead of zero, or use shape = \"linear\" or \"cosine\""});
  }
  if (!problems.empty()) throw InputError(std::move(problems));
  return Schedule({{after, from}, {after + over, to}}, shape);
}

Schedule Schedule::piecewise(std::vector<Point> points) {
  std::vector<Problem> problems;
  if (points.empty()) {
    problems.push_back({"", "'points' is empty", "at least one [step, value]", "none", ""});
  }
  for (std::size_t i = 0; i < points.size(); ++i) {
    const auto [step, value] = points[i];
    check_value(value, "points", problems);
    if (step < 0 || step > kLastStep) {
      problems.push_back({"", "a step in 'points' is out of range",
                          fmt::format("a step from 0 to {}", kLastStep), fmt::format("{}", step), ""});
    }
    if (i > 0 && step <= points[i - 1].first) {
      problems.push_back({"", "the steps in 'points' do not ascend",
                          fmt::format("a step after {}", points[i - 1].first), fmt::format("{}", step),
                          "list the points in the order of their steps, each step once"});
    }
  }
  if (!problems.empty()) throw InputError(std::move(problems));
  return Schedule(std::move(points), Shape::linear);
}

double Schedule::at(std::int64_t step) const {
  if (step <= points_.front().first) return points_.front().second;
  if (step >= points_.back().first) return points_.back().second;
  const auto next = std::upper_bound(points_.begin(), points_.end(), step,
                                     [](std::int64_t s, const Point& point) { return s < point.first; });
  const Point& right = *next;
  const Point& left = *std::prev(next);
  const double t = static_cast<double>(step - left.first) / static_cast<double>(right.first - left.first);
  return between(left.second, right.second, t, shape_);
}

std::vector<double> Schedule::corner_values() const {
  std::vector<double> values;
  values.reserve(points_.size());
  for (const Point& point : points_) values.push_back(point.second);
  return values;
}

}  // namespace regulon::core
