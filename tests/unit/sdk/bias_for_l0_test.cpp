#include <regulon/error.h>
#include <regulon/ops.h>

#include "ops_reference.h"
#include "tests/unit/support/expect_error.h"

namespace regulon {
namespace {

TEST(BiasForL0, EveryFeatureFiresAlike) {
  at::manual_seed(51);
  constexpr std::int64_t kRows = 400;
  constexpr std::int64_t kFeatures = 1100;  // more than a block
  const at::Tensor rows = at::randn({kRows, 12}) + 0.5;
  const at::Tensor weight = at::randn({kFeatures, 12});
  for (const at::Tensor& center : {at::Tensor(), rows.mean(0)}) {
    // 22 of 1100: each feature in 2% of 400 rows, 8 of them.
    const at::Tensor bias = ops::bias_for_l0({rows, weight, at::Tensor(), center}, 22);
    const at::Tensor input = center.defined() ? rows - center : rows;
    const at::Tensor firing = (at::matmul(input, weight.t()) + bias > 0).sum(0);
    EXPECT_TRUE(at::equal(firing, at::full({kFeatures}, 8, at::kLong)));
  }
}

TEST(BiasForL0, FewRowsFireOnceEach) {
  at::manual_seed(52);
  const at::Tensor rows = at::randn({10, 3});
  const at::Tensor weight = at::randn({64, 3});
  const at::Tensor bias = ops::bias_for_l0({rows, weight, at::Tensor(), at::Tensor()}, 1);
  EXPECT_TRUE(at::equal((at::matmul(rows, weight.t()) + bias > 0).sum(0), at::ones({64}, at::kLong)));
}

// Also rows whose products all lie close together, are all alike, or are zero.
TEST(BiasForL0, EveryRowMayFire) {
  at::manual_seed(53);
  const at::Tensor weight = at::randn({6, 3});
  const at::Tensor spread = at::randn({10, 3});
  for (const at::Tensor& rows : {spread, spread * 1e-6 + 1, at::ones({1, 3}), at::zeros({4, 3})}) {
    const at::Tensor bias = ops::bias_for_l0({rows, weight, at::Tensor(), at::Tensor()}, 6);
    EXPECT_TRUE((at::matmul(rows, weight.t()) + bias > 0).all().item<bool>()) << rows;
    const Codes codes = ops::select_product({rows, weight, bias, at::Tensor()}, Selection{});
    EXPECT_EQ(ops::feature_counts(codes).sum().item<std::int64_t>(), rows.size(0) * 6);
  }
  // No further below the lowest than it takes.
  const at::Tensor bias = ops::bias_for_l0({spread, weight, at::Tensor(), at::Tensor()}, 6);
  const at::Tensor lowest = std::get<0>((at::matmul(spread, weight.t()) + bias).min(0));
  const at::Tensor products = at::matmul(spread, weight.t());
  EXPECT_TRUE(
      (lowest < (std::get<0>(products.max(0)) - std::get<0>(products.min(0))) / 5).all().item<bool>());
}

TEST(BiasForL0, RefusesWhatItCannotUse) {
  const at::Tensor rows = at::randn({4, 3});
  tests::expect_error<RunError>([&] { ops::bias_for_l0({rows, at::randn({5, 2}), {}, {}}, 1); }, {"weight"});
  tests::expect_error<RunError>(
      [&] {
        ops::bias_for_l0({rows.narrow(0, 0, 0), at::randn({5, 3}), {}, {}}, 1);
      },
      {"at least one row", "0 rows"});
  tests::expect_error<RunError>(
      [&] {
        ops::bias_for_l0({rows, at::randn({5, 3}), {}, {}}, 0);
      },
      {"an l0 above zero"});
}

}  // namespace
}  // namespace regulon
