#include "sdk/src/kernel_table.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "ops_reference.h"

namespace regulon {
namespace {

template <typename T>
class Kernels : public testing::Test {
 protected:
  static constexpr at::ScalarType kType = sizeof(T) == 4 ? at::kFloat : at::kDouble;
};

using Dtypes = testing::Types<float, double>;
TYPED_TEST_SUITE(Kernels, Dtypes);

TYPED_TEST(Kernels, BaselineIsAlwaysThere) {
  EXPECT_STREQ(kernel_tables<TypeParam>().back().name, "baseline");
}

TYPED_TEST(Kernels, DotsAreAsDefinedOnEveryInstructionSet) {
  at::manual_seed(1);
  for (const std::int64_t d : {1, 3, 15, 16, 17, 64, 100, 384}) {
    const at::Tensor row = at::randn({1, d}, TestFixture::kType);
    const at::Tensor matrix = at::randn({9, d}, TestFixture::kType);
    const std::vector<std::int32_t> ids{3, 0, 8, 8, 1, 5, 2};
    const at::Tensor expected = test::defined_products(row, matrix);
    for (const auto& table : kernel_tables<TypeParam>()) {
      std::vector<TypeParam> out(ids.size());
      table.gather_dot(row.data_ptr<TypeParam>(), matrix.data_ptr<TypeParam>(), d, ids.data(), 7, out.data());
      for (std::size_t i = 0; i < ids.size(); ++i) {
        EXPECT_EQ(out[i], expected.data_ptr<TypeParam>()[ids[i]]) << table.name << ", d = " << d;
      }
    }
  }
}

TYPED_TEST(Kernels, SumsOfRowsAreInOrderOnEveryInstructionSet) {
  at::manual_seed(2);
  for (const std::int64_t d : {1, 7, 16, 33, 129, 384, 500}) {
    const at::Tensor matrix = at::randn({9, d}, TestFixture::kType);
    const at::Tensor weights = at::randn({6}, TestFixture::kType);
    const at::Tensor start = at::randn({d}, TestFixture::kType);
    const std::vector<std::int32_t> ids{3, 0, 8, 8, 1, 5};
    std::vector<TypeParam> expected(start.data_ptr<TypeParam>(), start.data_ptr<TypeParam>() + d);
    for (std::size_t e = 0; e < ids.size(); ++e) {
      for (std::int64_t i = 0; i < d; ++i) {
        TypeParam& sum = expected[static_cast<std::size_t>(i)];
        sum = std::fma(weights.data_ptr<TypeParam>()[e], matrix.data_ptr<TypeParam>()[ids[e] * d + i], sum);
      }
    }
    for (const auto& table : kernel_tables<TypeParam>()) {
      std::vector<TypeParam> out(expected.size());
      table.gather_sum(weights.data_ptr<TypeParam>(), ids.data(), 6, matrix.data_ptr<TypeParam>(), d,
                       start.data_ptr<TypeParam>(), out.data());
      EXPECT_EQ(out, expected) << table.name << ", d = " << d;
    }
  }
}

TYPED_TEST(Kernels, ScansFindTheSameOnEveryInstructionSet) {
  at::manual_seed(3);
  constexpr std::int64_t kCount = 200;
  constexpr std::int64_t kPadded = 216;
  const at::Tensor product = at::randn({kPadded}, TestFixture::kType);
  at::Tensor bias = at::randn({kPadded}, TestFixture::kType) * 0.1;
  bias.narrow(0, kCount, kPadded - kCount).fill_(-std::numeric_limits<TypeParam>::infinity());
  const at::Tensor scale = at::rand({kPadded}, TestFixture::kType) + 0.5;
  ScreenedRow<TypeParam> row;
  row.product = product.data_ptr<TypeParam>();
  row.count = kCount;
  row.error = TypeParam(0.07);
  row.bias_high = row.bias_low = bias.data_ptr<TypeParam>();
  row.scale = scale.data_ptr<TypeParam>();
  std::vector<std::int32_t> expected;
  std::vector<TypeParam> lows;
  for (std::int64_t f = 0; f < kCount; ++f) {
    const TypeParam high = row.product[f] + (row.bias_high[f] + row.error);
    if (high > TypeParam(0.1) && high * row.scale[f] >= TypeParam(0.8)) {
      expected.push_back(static_cast<std::int32_t>(f));
    }
  }
  ASSERT_GT(expected.size(), 10U);
  ASSERT_LT(expected.size(), 100U);
  std::vector<std::vector<TypeParam>> maxima;
  for (const auto& table : kernel_tables<TypeParam>()) {
    std::vector<std::int32_t> found(kPadded);
    found.resize(static_cast<std::size_t>(table.scan(row, TypeParam(0.1), TypeParam(0.8), found.data())));
    EXPECT_EQ(found, expected) << table.name;
    maxima.emplace_back(64);
    maxima.back().resize(static_cast<std::size_t>(table.group_maxima(row, 48, maxima.back().data())));
    EXPECT_EQ(maxima.back(), maxima.front()) << table.name;
  }
  // Each maximum is a score that some feature certainly has.
  for (const TypeParam maximum : maxima.front()) {
    bool known = maximum == std::numeric_limits<TypeParam>::lowest();
    for (std::int64_t f = 0; f < kCount; ++f) {
      const TypeParam low = row.product[f] + (row.bias_low[f] - row.error);
      known = known || (low > 0 && low * row.scale[f] == maximum);
    }
    EXPECT_TRUE(known) << maximum;
  }
}

TYPED_TEST(Kernels, CutsAreReachedByAtLeastAsManyAsWanted) {
  at::manual_seed(5);
  constexpr TypeParam kLowest = std::numeric_limits<TypeParam>::lowest();
  for (const std::int64_t count : {1, 5, 16, 100, 131}) {
    at::Tensor numbers = at::randn({count}, TestFixture::kType);
    if (count > 5) numbers.narrow(0, 1, 3).fill_(kLowest);
    const TypeParam* const data = numbers.data_ptr<TypeParam>();
    const std::int64_t there = (numbers > kLowest).sum().template item<std::int64_t>();
    for (const std::int64_t k : {std::int64_t{1}, (there + 1) / 2, there, there + 1}) {
      for (const auto& table : kernel_tables<TypeParam>()) {
        const TypeParam cut = table.reached_by(data, count, k);
        EXPECT_EQ(cut, kernel_tables<TypeParam>().front().reached_by(data, count, k)) << table.name;
        const std::int64_t reached =
            (numbers >= static_cast<double>(cut)).sum().template item<std::int64_t>();
        if (k > there) {
          EXPECT_EQ(cut, kLowest);
        } else {
          EXPECT_GE(reached, k) << table.name;
          EXPECT_LE(reached, k + 2) << table.name;
        }
      }
    }
  }
}

TYPED_TEST(Kernels, PenaltiesAreTheSameOnEveryInstructionSet) {
  at::manual_seed(4);
  const at::Tensor numbers = at::randn({77}, TestFixture::kType);
  numbers[5] = 0;
  for (const bool square : {false, true}) {
    const double expected = (square ? numbers.square() : numbers.abs()).sum().template item<double>();
    const at::Tensor derivative = square ? numbers * 2 : numbers.sign();
    std::vector<double> sums;
    for (const auto& table : kernel_tables<TypeParam>()) {
      at::Tensor changed = numbers.clone();
      sums.push_back(table.penalise(changed.data_ptr<TypeParam>(), 77, square));
      EXPECT_EQ(sums.back(), sums.front()) << table.name;
      EXPECT_NEAR(sums.back(), expected, 1e-4);
      EXPECT_TRUE(at::equal(changed, derivative)) << table.name;
    }
  }
}

}  // namespace
}  // namespace regulon
