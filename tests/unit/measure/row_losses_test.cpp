#include "core/measure/row_losses.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <regulon/error.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "tests/unit/support/expect_error.h"

namespace regulon::core {
namespace {

at::Tensor doubles(std::vector<double> values) { return at::tensor(values, at::kDouble); }

TEST(RowLosses, RefuseWhatIsNotFinite) {
  const double infinity = std::numeric_limits<double>::infinity();
  const double nan = std::nan("");
  LossCollector losses;
  losses.add(doubles({1, 2}));
  tests::expect_error<RunError>([&] { losses.add(doubles({3, nan})); }, {"row 3 ", "finite", "NaN"});
  tests::expect_error<RunError>([&] { losses.add(doubles({infinity, 4})); }, {"row 2 ", "infinity"});
  losses.add(doubles({6}));
  const LossSpread spread = losses.result(1);
  EXPECT_EQ(spread.rows, 3) << "what was refused counts nowhere";
  EXPECT_EQ(spread.mean, 3);
  LossPairCollector pair;
  tests::expect_error<RunError>([&] { pair.add(doubles({1, 2}), doubles({1, nan})); }, {"row 1 ", "NaN"});
}

TEST(RowLosses, EqualOnesHaveNoCorrelation) {
  LossPairCollector same;
  LossPairCollector one_varies;
  for (int batch = 0; batch < 3; ++batch) {
    const at::Tensor equal = at::full({7}, 0.1, at::kDouble);
    const at::Tensor others = at::arange(7, at::kDouble) + batch;
    same.add(equal, 3 * equal);
    one_varies.add(others, equal);
  }
  for (const LossPairCollector* collector : {&same, &one_varies}) {
    const LossComparison found = collector->result(1);
    EXPECT_FALSE(found.correlation.has_value());
    EXPECT_FALSE(found.log_correlation.has_value());
    EXPECT_TRUE(to_json(found).at("correlation").is_null());
  }
}

TEST(RowLosses, SmallDifferencesHaveACorrelation) {
  LossPairCollector losses;
  const at::Tensor steps = 1e-5 * at::arange(10, at::kDouble);
  losses.add(1 + steps, 1e-12 * (5 - steps));
  EXPECT_NEAR(losses.result(1).correlation.value(), -1, 1e-6);
  EXPECT_NEAR(losses.result(1).log_correlation.value(), -1, 1e-6);
}

}  // namespace
}  // namespace regulon::core
