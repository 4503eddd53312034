#include <gtest/gtest.h>
#include <regulon/feature_cost.h>

#include <cmath>

#include "tests/unit/support/load_plugin.h"
#include "tests/unit/support/toy_step.h"

namespace regulon {
namespace {

using tests::ToyStep;

at::Tensor cost(const std::string& name, const FeatureStats& stats,
                const std::map<std::string, ParamValue>& settings = {}) {
  const ToyStep toy;
  const at::Tensor found = tests::make_plugin<FeatureCost>(name, settings)
                               ->cost(stats, Dictionary(toy.weight, toy.bias, 0, false));
  EXPECT_FALSE(found.requires_grad());
  EXPECT_EQ(found.dim(), 1);
  EXPECT_EQ(found.scalar_type(), at::kDouble);
  return found;
}

FeatureStats stats_of(std::vector<double> frequency, std::int64_t rows_seen, std::int64_t width) {
  FeatureStats stats;
  stats.frequency = at::tensor(frequency, at::kDouble);
  stats.rows_seen = rows_seen;
  stats.width = width;
  return stats;
}

TEST(Uniform, IsOne) {
  EXPECT_TRUE(at::equal(cost("uniform", {}), at::ones({ToyStep::kFeatures}, at::kDouble)));
}

TEST(DecoderNorm, IsTheNormOfEachRow) {
  const ToyStep toy;
  const at::Tensor found = cost("decoder_norm", {});
  ASSERT_EQ(found.size(0), ToyStep::kFeatures);
  for (std::int64_t i = 0; i < ToyStep::kFeatures; ++i) {
    double squares = 0;
    for (std::int64_t j = 0; j < ToyStep::kWidth; ++j)
      squares += std::pow(toy.weight[i][j].item<double>(), 2);
    EXPECT_NEAR(found[i].item<double>(), std::sqrt(squares), 1e-12);
  }
}

TEST(LogRarity, IsTheCodeLengthAboveItsFloor) {
  constexpr std::int64_t kManyRows = 1'000'000'000'000;
  const at::Tensor found = cost("log_rarity", stats_of({0.5, 0.1, 1.0 / 16, 0.01, 1e-5}, kManyRows, 16));
  const std::vector<double> expected = {std::log(16.0), std::log(16.0), std::log(16.0), std::log(100.0),
                                        std::log(1e5)};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(found[static_cast<std::int64_t>(i)].item<double>(), expected[i], 1e-12) << i;
  }
}

TEST(LogRarity, IsCappedForFeaturesNeverSeen) {
  constexpr std::int64_t kManyRows = 1'000'000'000'000;
  EXPECT_NEAR(cost("log_rarity", stats_of({0.0}, kManyRows, 16)).item<double>(), std::log(1e6), 1e-9);
  EXPECT_NEAR(cost("log_rarity", stats_of({0.0}, kManyRows, 16), {{"min_frequency", 0.001}}).item<double>(),
              std::log(1e3), 1e-9);
}

TEST(LogRarity, DoesNotCallAFeatureRarerThanTheRowsCanShow) {
  EXPECT_NEAR(cost("log_rarity", stats_of({0.0}, 1000, 16)).item<double>(), std::log(1000.0), 1e-12);
  const at::Tensor first = cost("log_rarity", stats_of({0.0, 0.3}, 0, 16));
  EXPECT_NEAR(first[0].item<double>(), std::log(16.0), 1e-12);
  EXPECT_NEAR(first[1].item<double>(), std::log(16.0), 1e-12);
}

TEST(QuadraticFrequency, RisesAboveItsFrequency) {
  const at::Tensor found = cost("quadratic_frequency", stats_of({0.0, 0.02, 1.0}, 1000, 16), {{"p0", 0.02}});
  EXPECT_TRUE(at::allclose(found, at::tensor({1.0, 2.0, 51.0}, at::kDouble)));
}

TEST(PowerFrequency, IsAPowerOfTheFrequency) {
  const std::vector<double> frequency = {0.0, 0.0024, 0.25};
  const at::Tensor found = cost("power_frequency", stats_of(frequency, 1000, 16));
  const at::Tensor risen = cost("power_frequency", stats_of(frequency, 1000, 16), {{"power", 1.5}});
  for (std::size_t i = 0; i < frequency.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i);
    EXPECT_NEAR(found[at].item<double>(), 1 / std::sqrt(frequency[i] + 1e-4), 1e-9);
    EXPECT_NEAR(risen[at].item<double>(), std::pow(std::sqrt(frequency[i] + 1e-4), 3), 1e-12);
  }
}

TEST(ReweightedL1, IsTheInverseMeanValue) {
  FeatureStats stats = stats_of({0.0, 0.5, 0.5}, 1000, 16);
  stats.mean_value = at::tensor({0.0, 0.09, 3.99}, at::kDouble);
  const at::Tensor found = cost("reweighted_l1", stats);
  EXPECT_TRUE(at::allclose(found, at::tensor({100.0, 10.0, 0.25}, at::kDouble)));
  EXPECT_NEAR(cost("reweighted_l1", stats, {{"epsilon", 0.5}})[0].item<double>(), 2.0, 1e-12);
}

TEST(Bits, AreTheCodeLength) {
  constexpr std::int64_t kManyRows = 1'000'000'000'000;
  const at::Tensor found = cost("bits", stats_of({1.0, 0.5, 1.0 / 1024, 0.0}, kManyRows, 16));
  const std::vector<double> expected = {0.0, 1.0, 10.0, std::log2(1e6)};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(found[static_cast<std::int64_t>(i)].item<double>(), expected[i], 1e-9) << i;
  }
  EXPECT_NEAR(cost("bits", stats_of({0.0}, 4096, 16)).item<double>(), 12.0, 1e-9) << "seen once at most";
  EXPECT_NEAR(cost("bits", stats_of({0.0}, kManyRows, 16), {{"min_frequency", 0.125}}).item<double>(), 3.0,
              1e-9);
}

TEST(Bits, AreNeverNegative) {
  EXPECT_EQ(cost("bits", stats_of({1.0 + 1e-9}, 1000, 16)).item<double>(), 0.0);
  EXPECT_EQ(cost("bits", stats_of({0.0, 0.3}, 0, 16)).abs().max().item<double>(), 0.0) << "nothing seen yet";
}

}  // namespace
}  // namespace regulon
