#include <regulon/error.h>
#include <regulon/sums.h>

#include <cmath>
#include <vector>

#include "ops_reference.h"

namespace regulon {
namespace {

TEST(SumsTest, AreThoseOfADoublePrecisionSumWithItsGradient) {
  at::manual_seed(81);
  for (const std::vector<std::int64_t>& shape :
       std::vector<std::vector<std::int64_t>>{{}, {0}, {1}, {50, 7}, {70000}, {3, 5, 9000}}) {
    const at::Tensor values = at::randn(shape, at::kFloat) + 3;
    const double exact = values.to(at::kDouble).sum().item<double>();
    EXPECT_NEAR(ops::total(values).item<double>(), exact, 1e-7 * std::abs(exact))
        << "but for its own rounding";
  }
  test::expect_gradients([](const test::TensorList& in) { return ops::total(in[0].square()).exp(); },
                         {at::randn({4, 5}, at::kDouble) * 0.3});
  test::expect_gradients([](const test::TensorList& in) { return ops::mean(in[0].t().square()).exp(); },
                         {at::randn({4, 5}, at::kDouble)});
}

TEST(SumsTest, ThreadsDoNotShow) {
  at::manual_seed(82);
  const at::Tensor values = at::randn({200001});
  std::vector<at::Tensor> found;
  for (const int threads : {1, 2, 3}) {
    const test::Threads guard(threads);
    found.push_back(ops::mean(values));
  }
  EXPECT_TRUE(test::same_bits(found[0], found[1]));
  EXPECT_TRUE(test::same_bits(found[0], found[2]));
}

TEST(SumsTest, RefuseWhatHasNone) {
  EXPECT_THROW(ops::mean(at::empty({0})), RunError);
  EXPECT_THROW(ops::total(at::ones({3}, at::kLong)), RunError);
  EXPECT_THROW(ops::total(at::Tensor()), RunError);
  EXPECT_THROW(ops::mean(at::Tensor()), RunError);
}

}  // namespace
}  // namespace regulon
