#include "core/config/schedule.h"

#include <gtest/gtest.h>
#include <regulon/error.h>

#include <cmath>
#include <limits>

namespace regulon::core {
namespace {

using Shape = Schedule::Shape;

TEST(Schedule, ConstantHoldsItsValueAtEveryStep) {
  const Schedule schedule(-0.25);
  EXPECT_TRUE(schedule.is_constant());
  for (const std::int64_t step : {std::int64_t{0}, std::int64_t{1}, std::int64_t{1} << 60}) {
    EXPECT_EQ(schedule.at(step), -0.25);
  }
  EXPECT_EQ(schedule.corner_values(), std::vector<double>{-0.25});
}

TEST(Schedule, LinearRamp) {
  const Schedule schedule = Schedule::ramp(1.0, 3.0, 100, 50, Shape::linear);
  EXPECT_FALSE(schedule.is_constant());
  EXPECT_EQ(schedule.at(0), 1.0);
  EXPECT_EQ(schedule.at(50), 1.0);
  EXPECT_DOUBLE_EQ(schedule.at(51), 1.02);
  EXPECT_DOUBLE_EQ(schedule.at(75), 1.5);
  EXPECT_DOUBLE_EQ(schedule.at(100), 2.0);
  EXPECT_EQ(schedule.at(150), 3.0);
  EXPECT_EQ(schedule.at(1000), 3.0);
  EXPECT_EQ(schedule.corner_values(), (std::vector<double>{1.0, 3.0}));
}

TEST(Schedule, CosineRampIsFlatAtItsEndsAndHalfwayInTheMiddle) {
  const Schedule schedule = Schedule::ramp(0.0, 2.0, 6, 0, Shape::cosine);
  EXPECT_EQ(schedule.at(0), 0.0);
  EXPECT_NEAR(schedule.at(1), 1.0 - std::sqrt(3.0) / 2.0, 1e-15);  // 2 (1 - cos 30 deg) / 2
  EXPECT_NEAR(schedule.at(2), 0.5, 1e-15);                         // 2 (1 - cos 60 deg) / 2
  EXPECT_NEAR(schedule.at(3), 1.0, 1e-15);
  EXPECT_NEAR(schedule.at(4), 1.5, 1e-15);
  EXPECT_EQ(schedule.at(6), 2.0);
}

TEST(Schedule, ExponentialRampMultipliesByTheSameFactorEachStep) {
  const Schedule up = Schedule::ramp(0.001, 1.0, 3, 10, Shape::exponential);
  EXPECT_EQ(up.at(10), 0.001);
  EXPECT_NEAR(up.at(11), 0.01, 1e-15);
  EXPECT_NEAR(up.at(12), 0.1, 1e-14);
  EXPECT_EQ(up.at(13), 1.0);
  const Schedule negative = Schedule::ramp(-4.0, -1.0, 2, 0, Shape::exponential);
  EXPECT_NEAR(negative.at(1), -2.0, 1e-15);
  const Schedule wide = Schedule::ramp(1e-300, 1e300, 2, 0, Shape::exponential);
  EXPECT_NEAR(wide.at(1), 1.0, 1e-12);
}

TEST(Schedule, PiecewiseGoesStraightThroughItsPoints) {
  const Schedule schedule = Schedule::piecewise({{10, 0.0}, {20, 1.0}, {60, -1.0}});
  EXPECT_EQ(schedule.at(0), 0.0);
  EXPECT_EQ(schedule.at(10), 0.0);
  EXPECT_DOUBLE_EQ(schedule.at(13), 0.3);
  EXPECT_EQ(schedule.at(20), 1.0);
  EXPECT_DOUBLE_EQ(schedule.at(30), 0.5);
  EXPECT_DOUBLE_EQ(schedule.at(50), -0.5);
  EXPECT_EQ(schedule.at(60), -1.0);
  EXPECT_EQ(schedule.at(61), -1.0);
  EXPECT_EQ(schedule.corner_values(), (std::vector<double>{0.0, 1.0, -1.0}));
}

TEST(Schedule, NeverLeavesTheRangeOfItsCorners) {
  for (const Shape shape : {Shape::linear, Shape::cosine, Shape::exponential}) {
    const Schedule schedule = Schedule::ramp(0.1, 0.3, 997, 0, shape);
    double last = 0.1;
    for (std::int64_t step = 0; step <= 997; ++step) {
      const double value = schedule.at(step);
      EXPECT_GE(value, 0.1);
      EXPECT_LE(value, 0.3);
      EXPECT_GE(value, last - 1e-15) << "step " << step;
      last = value;
    }
  }
}

TEST(Schedule, ValuesOfAnySizeStayFinite) {
  const double huge = std::numeric_limits<double>::max();
  const Schedule schedule = Schedule::ramp(-huge, huge, 4, 0, Shape::linear);
  EXPECT_TRUE(std::isfinite(schedule.at(1)));
  EXPECT_EQ(schedule.at(2), 0.0);
}

TEST(Schedule, RampBetweenEqualValuesIsTheConstant) {
  EXPECT_EQ(Schedule::ramp(0.3, 0.3, 10, 5, Shape::cosine), Schedule(0.3));
  EXPECT_EQ(Schedule::piecewise({{7, 0.3}}), Schedule(0.3));
  EXPECT_EQ(Schedule::piecewise({{5, 0.0}, {15, 1.0}}), Schedule::ramp(0.0, 1.0, 10, 5, Shape::linear));
}

TEST(Schedule, RefusesWhatMakesNoSense) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(Schedule::ramp(0.0, 1.0, 0, 0, Shape::linear), InputError);
  EXPECT_THROW(Schedule::ramp(0.0, 1.0, -5, 0, Shape::linear), InputError);
  EXPECT_THROW(Schedule::ramp(0.0, 1.0, 5, -1, Shape::linear), InputError);
  EXPECT_THROW(Schedule::ramp(0.0, 1.0, INT64_MAX, INT64_MAX, Shape::linear), InputError);
  EXPECT_THROW(Schedule::ramp(nan, 1.0, 5, 0, Shape::linear), InputError);
  EXPECT_THROW(Schedule::ramp(0.0, 1.0, 5, 0, Shape::exponential), InputError);
  EXPECT_THROW(Schedule::ramp(1.0, 0.0, 5, 0, Shape::exponential), InputError);
  EXPECT_THROW(Schedule::ramp(-1.0, 1.0, 5, 0, Shape::exponential), InputError);
  EXPECT_THROW(Schedule::piecewise({}), InputError);
  EXPECT_THROW(Schedule::piecewise({{0, 1.0}, {0, 2.0}}), InputError);
  EXPECT_THROW(Schedule::piecewise({{5, 1.0}, {4, 2.0}}), InputError);
  EXPECT_THROW(Schedule::piecewise({{-1, 1.0}}), InputError);
  EXPECT_THROW(Schedule::piecewise({{0, nan}}), InputError);
}

TEST(Schedule, TellsEveryArgumentThatIsWrong) {
  try {
    Schedule::ramp(0.0, std::numeric_limits<double>::infinity(), 0, -1, Shape::linear);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_EQ(error.problems().size(), 3U);
  }
}

}  // namespace
}  // namespace regulon::core
