#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <regulon/loss_term.h>
#include <regulon/ops.h>

#include "tests/unit/support/gradients.h"
#include "tests/unit/support/load_plugin.h"
#include "tests/unit/support/toy_step.h"

namespace regulon {
namespace {

using tests::normal;
using Settings = std::map<std::string, ParamValue>;

constexpr std::int64_t kRows = 6;
constexpr std::int64_t kFeatures = 9;
constexpr std::int64_t kWidth = 4;
constexpr std::int64_t kAlive = 3;  // features that the step's own codes come from
constexpr std::int64_t kDeadAfter = 100;

/// A linear encoder of which only the first features are used; the others have been silent for long.
struct AuxStep {
  at::Tensor batch = normal({kRows, kWidth}, 61);
  at::Tensor encoder = normal({kFeatures, kWidth}, 62).requires_grad_(true);
  at::Tensor encoder_bias = normal({kFeatures}, 63).requires_grad_(true);
  at::Tensor weight = normal({kFeatures, kWidth}, 64).requires_grad_(true);
  at::Tensor bias = normal({kWidth}, 65).requires_grad_(true);
  std::int64_t frozen = 0;
  at::Tensor silent =
      at::cat({at::zeros({kAlive}, at::kLong), at::full({kFeatures - kAlive}, 500, at::kLong)});

  Codes encode(const Selection& selection) const {
    return ops::select_product({batch, encoder, encoder_bias, {}}, selection);
  }
  StepView view() const {
    Selection own;
    own.only = at::arange(kAlive);
    FeatureStats stats;
    stats.silent_rows = silent;
    return StepView(StepInputs{3,
                               11,
                               batch,
                               encode(own),
                               Dictionary(weight, bias, frozen, false),
                               at::ones({kFeatures}, at::kDouble),
                               stats,
                               encoder,
                               {},
                               [this](const Selection& selection) { return encode(selection); }});
  }
  std::vector<at::Tensor> leaves() const { return {encoder, encoder_bias, weight, bias}; }
};

/// The same by dense matrices and autograd: the error is a constant, the best `k` of `dead` guess it.
at::Tensor dense_value(const AuxStep& step, const std::vector<std::int64_t>& dead, std::int64_t k) {
  const at::Tensor z = at::matmul(step.batch, step.encoder.t()) + step.encoder_bias;
  at::Tensor alive = at::zeros({kFeatures}, at::kDouble);
  alive.narrow(0, 0, kAlive).fill_(1);
  const at::Tensor error = (step.batch - at::matmul(z.relu() * alive, step.weight) - step.bias).detach();
  const at::Tensor ids = at::tensor(dead, at::kLong);
  const at::Tensor of_dead = z.index_select(1, ids);
  const auto best = at::topk(of_dead, k, 1);
  const at::Tensor mask = at::zeros_like(of_dead).scatter(1, std::get<1>(best), 1.0);
  const at::Tensor guess = at::matmul(of_dead.relu() * mask, step.weight.index_select(0, ids));
  return (error - guess).pow(2).sum(1).mean();
}

double spread(const at::Tensor& rows) { return (rows - rows.mean(0)).pow(2).sum(1).mean().item<double>(); }

at::Tensor error_of(const AuxStep& step) { return (step.batch - step.view().reconstruction()).detach(); }

std::unique_ptr<LossTerm> auxk(Settings settings) {
  settings.emplace("dead_after", std::int64_t{kDeadAfter});
  auto term = tests::make_plugin<LossTerm>("auxk", settings);
  Preparation preparation;
  preparation.features = kFeatures;
  preparation.width = kWidth;
  term->prepare(preparation);
  return term;
}

std::vector<at::Tensor> gradients(const AuxStep& step, const std::function<at::Tensor()>& value) {
  std::vector<at::Tensor> all;
  for (const at::Tensor& leaf : step.leaves()) all.push_back(tests::autograd_gradient(value, leaf));
  return all;
}

const std::vector<std::int64_t> kDead = {3, 4, 5, 6, 7, 8};

TEST(AuxK, ValueAndGradientsAreThoseOfDenseAutograd) {
  const AuxStep step;
  for (const std::int64_t k : {1, 2, 5}) {
    const auto term = auxk({{"k_aux", k}, {"relative_to", std::string("none")}});
    const auto value = [&] { return term->value(step.view()); };
    EXPECT_NEAR(value().item<double>(), dense_value(step, kDead, k).item<double>(), 1e-12);
    const auto found = gradients(step, value);
    const auto expected = gradients(step, [&] { return dense_value(step, kDead, k); });
    for (std::size_t i = 0; i < found.size(); ++i) {
      EXPECT_TRUE(at::allclose(found[i], expected[i], 1e-9, 1e-12)) << "k " << k << ", leaf " << i;
    }
  }
}

TEST(AuxK, TheGradientReachesTheDeadFeaturesEncoderAndNothingElse) {
  const AuxStep step;
  const auto term = auxk({{"k_aux", std::int64_t{6}}});
  const auto found = gradients(step, [&] { return term->value(step.view()); });
  const auto largest = [](const at::Tensor& t) { return t.abs().max().item<double>(); };
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_GT(largest(found[i].narrow(0, kAlive, kFeatures - kAlive)), 1e-4) << "leaf " << i;
    EXPECT_EQ(largest(found[i].narrow(0, 0, kAlive)), 0.0) << "leaf " << i;
  }
  EXPECT_EQ(largest(found[3]), 0.0) << "the decoder's bias has no part in it";
}

TEST(AuxK, IsRelativeToTheErrorOrTheBatch) {
  const AuxStep step;
  const double plain = dense_value(step, kDead, 2).item<double>();
  const auto value = [&](const std::string& relative_to) {
    return auxk({{"k_aux", std::int64_t{2}}, {"relative_to", relative_to}})
        ->value(step.view())
        .item<double>();
  };
  EXPECT_NEAR(value("error"), plain / spread(error_of(step)), 1e-12);
  EXPECT_NEAR(value("batch"), plain / spread(step.batch), 1e-12);
}

TEST(AuxK, HalfTheWidthOfFeaturesTakePartUnlessToldOtherwise) {
  const AuxStep step;
  EXPECT_NEAR(auxk({{"relative_to", std::string("none")}})->value(step.view()).item<double>(),
              dense_value(step, kDead, kWidth / 2).item<double>(), 1e-12);
}

TEST(AuxK, AtMostAsManyTakePartAsAreDead) {
  AuxStep step;
  step.silent = at::zeros({kFeatures}, at::kLong);
  step.silent[5] = 500;
  step.silent[7] = 500;
  const double two = dense_value(step, {5, 7}, 2).item<double>();
  const Settings plain = {{"k_aux", std::int64_t{8}}, {"relative_to", std::string("none")}};
  EXPECT_NEAR(auxk(plain)->value(step.view()).item<double>(), two, 1e-12);
  Settings fading = plain;
  fading["fade"] = true;
  EXPECT_NEAR(auxk(fading)->value(step.view()).item<double>(), two * 2 / 8, 1e-12);
}

TEST(AuxK, LeavesFrozenFeaturesOutUnlessOnlyTheEncoderLearns) {
  AuxStep step;
  step.frozen = 6;
  const Settings plain = {{"k_aux", std::int64_t{2}}, {"relative_to", std::string("none")}};
  const auto term = auxk(plain);
  EXPECT_NEAR(term->value(step.view()).item<double>(), dense_value(step, {6, 7, 8}, 2).item<double>(), 1e-12);
  EXPECT_EQ(term->report().at("dead"), 3.0);
  // Those that can learn are alive: nothing to revive, however long the frozen ones have been silent.
  step.silent.narrow(0, 6, 3).zero_();
  EXPECT_FALSE(term->value(step.view()).defined());
  EXPECT_EQ(term->report().at("dead"), 0.0);
  // The whole decoder is frozen: the encoder can still wake them all.
  AuxStep fixed;
  fixed.frozen = kFeatures;
  EXPECT_NEAR(term->value(fixed.view()).item<double>(), dense_value(fixed, kDead, 2).item<double>(), 1e-12);
  EXPECT_EQ(term->report().at("dead"), 6.0);
}

TEST(AuxK, SitsOutWhereNothingIsDead) {
  AuxStep step;
  step.silent = at::zeros({kFeatures}, at::kLong);
  const auto term = auxk({});
  EXPECT_FALSE(term->value(step.view()).defined());
  EXPECT_EQ(term->report().at("dead"), 0.0);
}

TEST(AuxK, CountsTheBatchAtHandAsThePeersDo) {
  AuxStep step;
  step.silent = at::full({kFeatures}, kDeadAfter - kRows, at::kLong);
  const auto term = auxk({});
  ASSERT_TRUE(term->value(step.view()).defined()) << "silent for long enough with this batch";
  // Of the first features those that are active in this batch are alive, however long they were silent.
  const at::Tensor active = ops::feature_counts(step.view().codes()) > 0;
  EXPECT_GT(active.sum().item<std::int64_t>(), 0);
  EXPECT_EQ(term->report().at("dead"), static_cast<double>(kFeatures - active.sum().item<std::int64_t>()));
  step.silent -= 1;
  EXPECT_FALSE(term->value(step.view()).defined()) << "one row short";
}

TEST(AuxK, ReportsAlikeAfterAResume) {
  const AuxStep step;
  std::vector<Preparation> preparations(2);
  std::vector<std::unique_ptr<LossTerm>> terms;
  for (Preparation& preparation : preparations) {
    preparation.features = kFeatures;
    preparation.width = kWidth;
    terms.push_back(tests::make_plugin<LossTerm>("auxk", {{"dead_after", std::int64_t{kDeadAfter}}}));
    terms.back()->prepare(preparation);
  }
  terms[0]->value(step.view());
  EXPECT_EQ(terms[1]->report().at("dead"), 0.0);
  for (std::size_t i = 0; i < preparations[0].states().size(); ++i)
    preparations[1].states()[i].tensor.copy_(preparations[0].states()[i].tensor);
  EXPECT_EQ(terms[1]->report(), terms[0]->report());
  EXPECT_EQ(terms[1]->report().at("dead"), 6.0);
}

TEST(AuxK, BearsABatchInWhichNothingVaries) {
  AuxStep step;
  step.batch = step.batch.narrow(0, 0, 1);
  const at::Tensor value = auxk({})->value(step.view());
  ASSERT_TRUE(value.defined());
  EXPECT_EQ(value.item<double>(), 0.0);
}

TEST(AuxK, BearsDeadFeaturesThatNeverWakeUp) {
  AuxStep step;
  step.encoder_bias = at::full({kFeatures}, -100.0, at::kDouble).requires_grad_(true);
  const auto term = auxk({{"relative_to", std::string("none")}});
  const at::Tensor value = term->value(step.view());
  EXPECT_TRUE(value.requires_grad());
  EXPECT_NEAR(value.item<double>(), error_of(step).pow(2).sum(1).mean().item<double>(), 1e-12);
}

}  // namespace
}  // namespace regulon
