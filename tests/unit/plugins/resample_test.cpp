#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <regulon/loss_term.h>

#include <cmath>
#include <set>

#include "tests/unit/support/load_plugin.h"
#include "tests/unit/support/toy_step.h"

namespace regulon::resample_test {
namespace {

using tests::normal;
using Settings = std::map<std::string, ParamValue>;

constexpr std::int64_t kRows = 5;
constexpr std::int64_t kFeatures = 7;
constexpr std::int64_t kWidth = 4;
constexpr std::int64_t kDeadAfter = 20;

/// A model after a step, and the term that looks at it.
struct After {
  explicit After(Settings settings = {}, std::vector<std::int64_t> dead = {2, 5}) {
    settings.emplace("dead_after", std::int64_t{kDeadAfter});
    term = tests::make_plugin<LossTerm>("resample", settings);
    preparation.features = kFeatures;
    preparation.width = kWidth;
    preparation.dictionary_weight = update.dictionary_weight;
    term->prepare(preparation);
    for (const std::int64_t feature : dead) silent[feature] = kDeadAfter;
    update.stats.silent_rows = silent;
    update.encoder_parameters = {{"weight", encoder}, {"bias", encoder_bias}, {"other", other}};
    update.reset_optimiser = [this](const at::Tensor& ids) { reset = ids.clone(); };
    draw(0);
  }
  void draw(std::uint64_t seed) { update.generator = named_generator(seed, "resample"); }
  std::vector<std::int64_t> times() const {
    const at::Tensor counts = preparation.states().front().tensor;
    return {counts.const_data_ptr<std::int64_t>(), counts.const_data_ptr<std::int64_t>() + kFeatures};
  }
  /// The row of the batch that `direction` comes from, or -1.
  std::int64_t row_of(const at::Tensor& direction) const {
    for (std::int64_t row = 0; row < kRows; ++row) {
      const at::Tensor from = update.batch[row] - update.dictionary_bias;
      if ((from / from.norm() - direction).abs().max().item<double>() < 1e-12) return row;
    }
    return -1;
  }

  at::Tensor encoder = normal({kFeatures, kWidth}, 71);
  at::Tensor encoder_bias = normal({kFeatures}, 72);
  at::Tensor other = normal({3, kWidth}, 73);
  at::Tensor silent = at::zeros({kFeatures}, at::kLong);
  at::Tensor reset;
  UpdateView update{9,
                    normal({kFeatures, kWidth}, 74),
                    normal({kWidth}, 75),
                    0,
                    {},
                    normal({kRows, kWidth}, 76),
                    normal({kRows}, 77).abs() + 0.1,
                    {},
                    {},
                    nullptr};
  Preparation preparation;
  std::unique_ptr<LossTerm> term;
};

TEST(Resample, RestartsDeadFeaturesAndTouchesNothingElse) {
  After after;
  const at::Tensor rows = after.update.dictionary_weight.clone();
  const at::Tensor encoder = after.encoder.clone();
  const at::Tensor bias = after.encoder_bias.clone();
  const at::Tensor other = after.other.clone();
  after.term->after_step(after.update);

  double mean = 0;  // of the living features' encoder norms
  for (const std::int64_t feature : {0, 1, 3, 4, 6}) mean += encoder[feature].norm().item<double>() / 5;
  std::set<std::int64_t> used;
  for (std::int64_t feature = 0; feature < kFeatures; ++feature) {
    const at::Tensor row = after.update.dictionary_weight[feature];
    if (feature != 2 && feature != 5) {
      EXPECT_TRUE(at::equal(row, rows[feature])) << feature;
      EXPECT_TRUE(at::equal(after.encoder[feature], encoder[feature])) << feature;
      EXPECT_TRUE(at::equal(after.encoder_bias[feature], bias[feature])) << feature;
      continue;
    }
    EXPECT_GE(after.row_of(row), 0) << feature;
    used.insert(after.row_of(row));
    EXPECT_NEAR(row.norm().item<double>(), 1.0, 1e-12);
    EXPECT_TRUE(at::allclose(after.encoder[feature], row * (0.2 * mean))) << feature;
    EXPECT_EQ(after.encoder_bias[feature].item<double>(), 0.0);
  }
  EXPECT_EQ(used.size(), 2U) << "no row twice";
  EXPECT_TRUE(at::equal(after.other, other)) << "a parameter that has no row per feature";
  EXPECT_TRUE(at::equal(after.reset, at::tensor({2, 5}, at::kLong)));
  EXPECT_EQ(after.times(), (std::vector<std::int64_t>{0, 0, 1, 0, 0, 1, 0}));
  EXPECT_EQ(after.term->report().at("resampled"), 2.0);
  EXPECT_EQ(after.term->report().at("resampled_in_all"), 2.0);
}

TEST(Resample, DrawsRowsBySquaredError) {
  for (const double power : {0.0, 0.5, 2.0}) {
    constexpr int kDraws = 2000;
    std::vector<int> counts(kRows, 0);
    After after({{"power", power}, {"dead_after", std::int64_t{1}}}, {});
    after.silent[3] = 50;
    for (int draw = 0; draw < kDraws; ++draw) {
      after.draw(static_cast<std::uint64_t>(draw));
      after.update.step = draw;
      after.term->after_step(after.update);
      const std::int64_t row = after.row_of(after.update.dictionary_weight[3]);
      ASSERT_GE(row, 0);
      ++counts[static_cast<std::size_t>(row)];
    }
    double total = 0;
    for (std::int64_t row = 0; row < kRows; ++row)
      total += std::pow(after.update.row_errors[row].item<double>(), power);
    for (std::int64_t row = 0; row < kRows; ++row) {
      const double chance = std::pow(after.update.row_errors[row].item<double>(), power) / total;
      EXPECT_NEAR(counts[static_cast<std::size_t>(row)], kDraws * chance, 5 * std::sqrt(kDraws * chance) + 1)
          << "power " << power << ", row " << row;
    }
  }
}

TEST(Resample, LeavesAFeatureItsTimeToWakeUp) {
  After after;  // silent for longer than 20 rows, at 5 rows a step
  after.term->after_step(after.update);
  const auto count_at = [&](std::int64_t step) {
    after.update.step = step;
    after.term->after_step(after.update);
    return after.term->report().at("resampled");
  };
  EXPECT_EQ(count_at(10), 0.0);
  EXPECT_EQ(count_at(12), 0.0);
  EXPECT_EQ(count_at(13), 2.0) << "20 rows after step 9";
  EXPECT_EQ(after.term->report().at("resampled_in_all"), 4.0);
}

TEST(Resample, EndsWhereItIsTold) {
  After last({{"until", std::int64_t{10}}});  // the tenth step is step 9
  last.term->after_step(last.update);
  EXPECT_TRUE(last.reset.defined());
  After late({{"until", std::int64_t{9}}});
  late.term->after_step(late.update);
  EXPECT_FALSE(late.reset.defined());
}

TEST(Resample, SparesFrozenFeatures) {
  After after;
  after.update.frozen_rows = 3;
  const at::Tensor rows = after.update.dictionary_weight.clone();
  after.term->after_step(after.update);
  EXPECT_TRUE(at::equal(after.update.dictionary_weight.narrow(0, 0, 3), rows.narrow(0, 0, 3)));
  EXPECT_TRUE(at::equal(after.reset, at::tensor({5}, at::kLong)));
}

TEST(Resample, BearsThatAllAreDead) {
  After after({}, {0, 1, 2, 3, 4, 5, 6});
  const double mean = after.encoder.norm(2, 1).mean().item<double>();
  after.term->after_step(after.update);
  EXPECT_EQ(after.reset.size(0), kRows) << "as many as there are rows to draw";
  EXPECT_NEAR(after.encoder[0].norm().item<double>(), 0.2 * mean, 1e-12);
  EXPECT_EQ(after.times(), (std::vector<std::int64_t>{1, 1, 1, 1, 1, 0, 0}));
}

TEST(Resample, HasNothingToDrawFromWithoutErrorOrDirection) {
  After perfect;
  perfect.update.row_errors = at::zeros({kRows}, at::kDouble);
  perfect.term->after_step(perfect.update);
  EXPECT_FALSE(perfect.reset.defined());
  After pointless;
  pointless.update.batch = pointless.update.dictionary_bias.expand({kRows, kWidth}).clone();
  pointless.term->after_step(pointless.update);
  EXPECT_FALSE(pointless.reset.defined());
  EXPECT_EQ(pointless.term->report().at("resampled"), 0.0);
}

TEST(Resample, DoesNothingWhereNothingIsDead) {
  After after({}, {});
  after.silent.fill_(kDeadAfter - 1);
  after.term->after_step(after.update);
  EXPECT_FALSE(after.reset.defined());
}

TEST(Resample, TiedEncodersHaveNoRowsOfTheirOwn) {
  After after;
  after.update.encoder_parameters = {{"bias", after.encoder_bias}};
  after.term->after_step(after.update);
  EXPECT_GE(after.row_of(after.update.dictionary_weight[2]), 0);
  EXPECT_EQ(after.encoder_bias[5].item<double>(), 0.0);
}

TEST(Resample, ActsAfterTheStepOnly) {
  After after;
  EXPECT_TRUE(after.term->acts_after_step());
  EXPECT_FALSE(after.term->value(tests::ToyStep().view()).defined());
}

}  // namespace
}  // namespace regulon::resample_test
