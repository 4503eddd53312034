#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <regulon/loss_term.h>

#include <memory>
#include <vector>

#include "tests/unit/plugins/orthogonality_reference.h"
#include "tests/unit/support/expect_error.h"

namespace regulon {
namespace {

using tests::PairStep;
using tests::Settings;

at::Tensor of_length_one(const at::Tensor& rows) { return rows / rows.norm(2, 1, true).clamp_min(1e-30); }

TEST(OrthogonalityRuns, ParametersThatDoNothingAreRefused) {
  const std::vector<std::pair<Settings, std::string>> wrong = {
      {{{"pairs", "all"}, {"rank", std::int64_t{2}}}, "'rank'"},
      {{{"pairs", "chunks"}, {"search", "exact"}}, "'search'"},
      {{{"pairs", "all"}, {"list_length", std::int64_t{8}}}, "'list_length'"},
      {{{"search", "exact"}, {"list_length", std::int64_t{8}}}, "'list_length'"},
      {{{"search", "lists"}, {"renew_every", std::int64_t{8}}, {"tolerance", 1e-2}}, "'tolerance'"},
      {{{"renew_every", std::int64_t{8}}}, "'renew_every'"},
      {{{"chunk", std::int64_t{8}}}, "'chunk'"},
      {{{"margin", 0.2}}, "'margin'"},
      {{{"shape", "square"}, {"steepness", 3.0}}, "'steepness'"},
      {{{"shape", "convex"}, {"slope", 3.0}}, "'slope'"},
      {{{"coactivation", "joint"}, {"alpha", 2.0}}, "'alpha'"},
      {{{"coactivation", "joint"}, {"pairs", "all"}}, "n x n"},
      {{{"shape", "convex"}, {"margin", 0.5}, {"cap", 0.3}}, "cap is not above its margin"}};
  for (const auto& [settings, part] : wrong) {
    const auto term = tests::make_plugin<LossTerm>("orthogonality", settings);
    tests::expect_error<InputError>([&] { term->needs(); }, {part});
  }
}

TEST(OrthogonalityRuns, TheEncodersRowsAreAskedFor) {
  const auto needs = [](const Settings& settings) {
    return tests::make_plugin<LossTerm>("orthogonality", settings)->needs();
  };
  EXPECT_TRUE(needs({}).empty());
  EXPECT_EQ(needs({{"rows", "encoder"}}), (std::vector<std::string>{"encoder.directions", "encoder.untied"}));
}

/// The chunks of a step are those of the term's own generator.
TEST(OrthogonalityRuns, ChunksAreTheStepsOwnAndNearestWithin) {
  const PairStep step(40, 6, 8, 130);
  const Settings settings = {
      {"pairs", "chunks"}, {"chunk", std::int64_t{9}}, {"cosine", "signed"}, {"shape", "square"}};
  const auto term = tests::prepared_orthogonality(40, 6, settings);
  std::vector<double> values;
  for (const std::uint64_t seed : {1, 2}) {
    const StepView view = step.view(seed);
    const at::Tensor order = at::randperm(40, view.generator(), at::kLong);
    const at::Tensor units = of_length_one(step.weight);
    at::Tensor expected = at::zeros({}, at::kDouble);
    for (std::int64_t k = 0; k < 5; ++k) {
      const at::Tensor own = units.index_select(0, order.slice(0, 8 * k, 8 * k + 8));
      const at::Tensor cosines = own.mm(own.t()).masked_fill(at::eye(8, at::kBool), -2);
      expected = expected + cosines.amax(1).clamp_min(0).square().mean() / 5;
    }
    values.push_back(term->value(view).item<double>());
    EXPECT_NEAR(values.back(), expected.item<double>(), 1e-12);
    const at::Tensor wanted = tests::autograd_gradient([&] { return expected; }, step.weight);
    const at::Tensor found = tests::autograd_gradient([&] { return term->value(view); }, step.weight);
    EXPECT_LT((found - wanted).abs().max().item<double>(), 1e-12);
  }
  EXPECT_NE(values[0], values[1]);
}

TEST(OrthogonalityRuns, MoreChunksThanFeaturesHoldNoPairs) {
  const PairStep step(7, 4, 5, 140);
  const auto term = tests::prepared_orthogonality(7, 4, {{"pairs", "chunks"}, {"chunk", std::int64_t{1}}});
  EXPECT_EQ(term->value(step.view()).item<double>(), 0);
  EXPECT_EQ(tests::autograd_gradient([&] { return term->value(step.view()); }, step.weight)
                .abs()
                .max()
                .item<double>(),
            0);
  EXPECT_EQ(term->report().at("recall"), 0);
}

TEST(OrthogonalityRuns, WhatChunksMissIsCountedRightly) {
  constexpr std::int64_t kFeatures = 256;
  const PairStep step(kFeatures, 8, 5, 150);
  const at::Tensor units = of_length_one(step.weight.detach());
  for (const char* const cosine : {"absolute", "signed"}) {
    const bool absolute = cosine == std::string("absolute");
    const auto term = tests::prepared_orthogonality(
        kFeatures, 8, {{"pairs", "chunks"}, {"chunk", std::int64_t{64}}, {"cosine", cosine}});
    EXPECT_TRUE(term->report().empty());
    at::Tensor cosines = units.mm(units.t());
    if (absolute) cosines = cosines.abs();
    const at::Tensor best = cosines.fill_diagonal_(-2).amax(1);
    double recall = 0;
    double deficit = 0;
    // A sixteenth of the chunk, four rows a call: these calls look at each row four times.
    for (std::uint64_t call = 0; call < 256; ++call) {
      const StepView view = step.view(call);
      term->value(view);
      const at::Tensor order = at::randperm(kFeatures, view.generator(), at::kLong);
      at::Tensor found = at::zeros({kFeatures}, at::kDouble);
      for (std::int64_t k = 0; k < 4; ++k) {
        const at::Tensor ids = order.slice(0, 64 * k, 64 * k + 64);
        const at::Tensor within = cosines.index_select(0, ids).index_select(1, ids);
        found.index_put_({ids}, within.amax(1));
      }
      const auto begin = static_cast<std::int64_t>(call) * 4 % kFeatures;
      const at::Tensor missed = (best - found).slice(0, begin, begin + 4);
      recall += (missed < 1e-12).sum().item<double>() / 1024;
      deficit += missed.sum().item<double>() / 1024;
    }
    EXPECT_NEAR(term->report().at("recall"), recall, 1e-12) << cosine;
    EXPECT_NEAR(term->report().at("deficit"), deficit, 1e-12) << cosine;
    EXPECT_GT(recall, 0.1);
    EXPECT_LT(recall, 0.5);
  }
}

/// Frozen rows look for nothing, and are not held against the nearest of all.
TEST(OrthogonalityRuns, ChunksAreAuditedOnLearningRowsOnly) {
  constexpr std::int64_t kFeatures = 256;
  constexpr std::int64_t kFrozen = 192;
  PairStep step(kFeatures, 8, 5, 155);
  {
    // The frozen ones are all alike, so that each has its nearest in its chunk.
    at::Tensor rows = step.weight.detach();
    rows.slice(0, 0, kFrozen).copy_(rows[0].expand({kFrozen, 8}).clone());
    step.weight = rows.requires_grad_(true);
  }
  step.frozen = kFrozen;
  const at::Tensor units = of_length_one(step.weight.detach());
  const at::Tensor cosines = units.mm(units.t()).abs().fill_diagonal_(-2);
  const at::Tensor best = cosines.amax(1);
  const auto term =
      tests::prepared_orthogonality(kFeatures, 8, {{"pairs", "chunks"}, {"chunk", std::int64_t{64}}});
  double deficit = 0;
  for (std::uint64_t call = 0; call < 256; ++call) {  // four of the 64 rows that learn
    const StepView view = step.view(call);
    term->value(view);
    const at::Tensor order = at::randperm(kFeatures, view.generator(), at::kLong);
    at::Tensor found = at::zeros({kFeatures}, at::kDouble);
    for (std::int64_t k = 0; k < 4; ++k) {
      const at::Tensor ids = order.slice(0, 64 * k, 64 * k + 64);
      found.index_put_({ids}, cosines.index_select(0, ids).index_select(1, ids).amax(1));
    }
    const std::int64_t begin = kFrozen + static_cast<std::int64_t>(call) * 4 % (kFeatures - kFrozen);
    deficit += (best - found).slice(0, begin, begin + 4).sum().item<double>() / 1024;
  }
  EXPECT_NEAR(term->report().at("deficit"), deficit, 1e-12);
  EXPECT_LT(term->report().at("recall"), 0.6);
}

/// Gradient descent on unit rows under a term of a negative weight.
void expect_to_stay_finite(const Settings& settings, std::int64_t steps, const std::string& what) {
  PairStep step(48, 8, 6, 160);
  step.weight = of_length_one(step.weight.detach()).requires_grad_(true);
  const auto term = tests::prepared_orthogonality(48, 8, settings);
  const double before = term->value(step.view()).item<double>();
  for (std::int64_t i = 0; i < steps; ++i) {
    const auto value = [&] { return -100 * term->value(step.view(static_cast<std::uint64_t>(i))); };
    const at::Tensor gradient = tests::autograd_gradient(value, step.weight);
    ASSERT_TRUE(gradient.isfinite().all().item<bool>()) << what << ", step " << i;
    step.weight = of_length_one(step.weight.detach() - 0.05 * gradient).requires_grad_(true);
  }
  const double after = term->value(step.view()).item<double>();
  EXPECT_TRUE(std::isfinite(after)) << what;
  EXPECT_GT(after, before) << what;
}

TEST(OrthogonalityRuns, ANegativeWeightStaysFinite) {
  expect_to_stay_finite({{"shape", "sigmoid"}}, 2000, "sigmoid");
  expect_to_stay_finite({{"cap", 0.9}}, 2000, "cap");
  expect_to_stay_finite({{"search", "lists"}, {"shape", "square"}, {"cap", 0.8}}, 2000, "lists");
  expect_to_stay_finite({{"pairs", "all"}, {"shape", "sigmoid"}}, 300, "all");
  expect_to_stay_finite({{"pairs", "closest"}, {"cosine", "signed"}, {"cap", 0.9}}, 300, "closest");
  expect_to_stay_finite({{"pairs", "chunks"}, {"chunk", std::int64_t{12}}, {"shape", "sigmoid"}}, 300,
                        "chunks");
}

/// Above the cap nothing grows any more.
TEST(OrthogonalityRuns, TheCapEndsTheGrowth) {
  PairStep step(20, 6, 6, 170);
  step.weight = of_length_one(step.weight.detach()).requires_grad_(true);
  const auto term = tests::prepared_orthogonality(20, 6, {{"cap", 0.8}});
  for (int i = 0; i < 500; ++i) {
    const at::Tensor gradient =
        tests::autograd_gradient([&] { return -1 * term->value(step.view()); }, step.weight);
    step.weight = of_length_one(step.weight.detach() - 0.2 * gradient).requires_grad_(true);
  }
  EXPECT_NEAR(term->value(step.view()).item<double>(), 0.8, 1e-3);
  EXPECT_LT(tests::autograd_gradient([&] { return term->value(step.view()); }, step.weight)
                .abs()
                .sum(1)
                .count_nonzero()
                .item<std::int64_t>(),
            20);
  const at::Tensor rows = step.weight.detach();
  EXPECT_LT(rows.mm(rows.t()).abs().fill_diagonal_(0).amax(1).mean().item<double>(), 0.95);
}

TEST(OrthogonalityRuns, ThreadsDoNotShow) {
  at::manual_seed(9);
  const at::Tensor codes = (at::randn({64, 700}) - 1.5).clamp_min(0);
  const at::Tensor rows = of_length_one(at::randn({700, 40}));
  const std::vector<Settings> all = {
      {{"search", "lists"}, {"coactivation", "joint"}},
      {{"scope", "active"}, {"coactivation", "norms"}, {"rank", std::int64_t{3}}},
      {{"pairs", "all"}, {"shape", "convex"}, {"margin", 0.2}},
      {{"pairs", "all"}, {"scope", "active"}, {"shape", "square"}},
      {{"pairs", "closest"}, {"cosine", "signed"}},
      {{"pairs", "chunks"}, {"chunk", std::int64_t{100}}, {"shape", "sigmoid"}}};
  for (const Settings& settings : all) {
    std::vector<at::Tensor> gradients;
    std::vector<double> values;
    const int threads_before = at::get_num_threads();
    for (const int threads : {1, 2, 3}) {
      at::set_num_threads(threads);
      const at::Tensor weight = rows.clone().requires_grad_(true);
      const auto term = tests::prepared_orthogonality(700, 40, settings, at::kFloat);
      const StepView view(StepInputs{0,
                                     5,
                                     at::zeros({64, 40}),
                                     Codes::dense(codes),
                                     Dictionary(weight, at::zeros({40}), 100),
                                     at::ones({700}),
                                     FeatureStats{},
                                     at::Tensor(),
                                     {},
                                     nullptr});
      const auto value = [&] { return term->value(view.for_term("term")); };
      gradients.push_back(tests::autograd_gradient(value, weight));
      values.push_back(value().item<double>());
    }
    at::set_num_threads(threads_before);
    for (std::size_t i = 1; i < values.size(); ++i) {
      EXPECT_EQ(values[i], values[0]);
      EXPECT_TRUE(at::equal(gradients[i], gradients[0]));
    }
    EXPECT_GT(gradients[0].abs().max().item<double>(), 0);
  }
}

}  // namespace
}  // namespace regulon
