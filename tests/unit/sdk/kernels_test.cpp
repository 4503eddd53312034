#include "sdk/src/kernel_table.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <limits>
#include <vector>

#include "ops_reference.h"

namespace regulon {
namespace {

template <typename T>
class Kernels : public ::testing::Test {
 protected:
  static constexpr at::ScalarType kType = sizeof(T) == 4 ? at::kFloat : at::kDouble;
};

using Dtypes = ::testing::Types<float, double>;
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

TYPED_TEST(Kernels, SizesThatReachACutAreFound) {
  at::manual_seed(6);
  for (const std::int64_t count : {1, 7, 16, 77}) {
    const at::Tensor numbers = at::randn({count}, TestFixture::kType);
    const at::Tensor cuts = at::randn({count}, TestFixture::kType) + 1;
    for (const bool absolute : {true, false}) {
      const at::Tensor sizes = absolute ? numbers.abs() : numbers;
      for (const TypeParam* const column_cuts :
           {cuts.data_ptr<TypeParam>(), static_cast<TypeParam*>(nullptr)}) {
        at::Tensor reaches = sizes >= 1.5;
        if (column_cuts != nullptr) reaches = reaches + (sizes >= cuts);
        for (const auto& table : kernel_tables<TypeParam>()) {
          std::vector<std::int32_t> found(static_cast<std::size_t>(count));
          const auto scan = absolute ? table.scan_absolute : table.scan_signed;
          found.resize(static_cast<std::size_t>(
              scan(numbers.data_ptr<TypeParam>(), count, TypeParam(1.5), column_cuts, found.data())));
          EXPECT_TRUE(at::equal(at::tensor(found, at::kInt), reaches.nonzero().squeeze(1).to(at::kInt)))
              << table.name << ", " << count;
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

/// A matrix as halve() makes it: rows of an even length, 16 bits each.
std::vector<std::uint16_t> halves_of(const HalfKernels& kernels, const at::Tensor& matrix,
                                     std::int64_t padded) {
  std::vector<std::uint16_t> halves(static_cast<std::size_t>(matrix.size(0) * padded));
  for (std::int64_t row = 0; row < matrix.size(0); ++row) {
    kernels.halve(matrix.data_ptr<float>() + row * matrix.size(1), matrix.size(1),
                  halves.data() + row * padded);
  }
  return halves;
}

TEST(HalfKernels, RoundAsLibTorchDoes) {
  at::manual_seed(31);
  const at::Tensor row = at::cat({at::randn({45}), at::randn({40}) * 1e30, at::randn({10}) * 1e-39,
                                  at::tensor({1.00390625F, 1.01171875F, 0.0F, -0.0F, 1.0F})});
  const at::Tensor rounded = row.to(at::kBFloat16).to(at::kFloat);
  for (const HalfKernels& kernels : half_kernels()) {
    std::vector<std::uint16_t> halves(100);
    const HalfRow sums = kernels.halve(row.data_ptr<float>(), 100, halves.data());
    for (std::size_t i = 0; i < halves.size(); ++i) {
      EXPECT_EQ(std::bit_cast<float>(static_cast<std::uint32_t>(halves[i]) << 16),
                rounded.data_ptr<float>()[i]);
    }
    const at::Tensor wide = rounded.to(at::kDouble);
    EXPECT_NEAR(sums.square / wide.square().sum().item<double>(), 1, 1e-12);
    EXPECT_NEAR(sums.residual_square / (row.to(at::kDouble) - wide).square().sum().item<double>(), 1, 1e-12);
  }
}

TEST(HalfKernels, ProductsAreThoseOfTheRoundedNumbers) {
  at::manual_seed(32);
  for (const auto& [rows, features, d] : {std::array{1, 1, 2}, {29, 70, 34}, {12, 64, 128}, {3, 33, 10}}) {
    const at::Tensor a = at::randn({rows, d});
    const at::Tensor b = at::randn({features, d});
    const at::Tensor expected =
        a.to(at::kBFloat16).to(at::kDouble).mm(b.to(at::kBFloat16).to(at::kDouble).t());
    for (const HalfKernels& kernels : half_kernels()) {
      const std::vector<std::uint16_t> left = halves_of(kernels, a, d);
      const std::vector<std::uint16_t> right = halves_of(kernels, b, d);
      const std::int64_t groups = (features + 31) / 32;
      std::vector<std::uint16_t> packed(static_cast<std::size_t>(groups * 32 * d));
      for (std::int64_t feature = 0; feature < features; ++feature) {
        for (std::int64_t i = 0; i < d; ++i) {
          const std::int64_t place = feature / 32 * 32 * d + i / 2 * 64 + feature % 32 * 2 + i % 2;
          packed[static_cast<std::size_t>(place)] = right[static_cast<std::size_t>(feature * d + i)];
        }
      }
      const at::Tensor out = at::full({rows, features}, 77.0F);
      kernels.product(left.data(), rows, d, packed.data(), features, out.data_ptr<float>());
      EXPECT_TRUE(at::allclose(out.to(at::kDouble), expected, 1e-5, 1e-4));
    }
  }
}

}  // namespace
}  // namespace regulon
