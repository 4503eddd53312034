#include <gtest/gtest.h>
#include <regulon/loss_term.h>
#include <regulon/pairs.h>

#include <stdexcept>
#include <vector>

#include "tests/unit/plugins/orthogonality_reference.h"

namespace regulon {
namespace {

using tests::PairStep;
using tests::Settings;

/// Value and gradient of the term, held against the whole matrix.
void expect_as_dense(const PairStep& step, const Settings& settings, const std::string& what) {
  const auto term = tests::prepared_orthogonality(step.weight.size(0), step.weight.size(1), settings);
  const at::Tensor value = term->value(step.view());
  const at::Tensor expected = tests::dense_orthogonality(step, settings);
  ASSERT_EQ(value.dim(), 0) << what;
  ASSERT_TRUE(value.requires_grad()) << what;
  EXPECT_NEAR(value.item<double>(), expected.item<double>(), 1e-12) << what;
  for (const at::Tensor& leaf : {step.weight, step.directions}) leaf.mutable_grad() = at::zeros_like(leaf);
  (3 * value).backward();
  (-3 * expected).backward();
  for (const at::Tensor& leaf : {step.weight, step.directions})
    EXPECT_LT(leaf.grad().abs().max().item<double>(), 1e-11) << what;
}

Settings with(Settings settings, const Settings& more) {
  settings.insert(more.begin(), more.end());
  return settings;
}

std::vector<std::pair<std::string, Settings>> shapes() {
  return {{"linear", {}},
          {"square", {{"shape", "square"}}},
          {"sigmoid", {{"shape", "sigmoid"}}},
          {"steep sigmoid", {{"shape", "sigmoid"}, {"slope", 25.0}}},
          {"convex", {{"shape", "convex"}, {"margin", 0.3}}},
          {"cubed", {{"shape", "convex"}, {"margin", 0.1}, {"steepness", 3.0}}},
          {"capped", {{"cap", 0.45}}},
          {"capped square", {{"shape", "square"}, {"cap", 0.45}}}};
}

std::vector<std::pair<std::string, Settings>> choices_of_pairs() {
  return {{"nearest", {}},
          {"nearest by lists", {{"search", "lists"}}},
          {"third", {{"rank", std::int64_t{3}}}},
          {"third by lists", {{"rank", std::int64_t{3}}, {"search", "lists"}}},
          {"farthest", {{"rank", std::int64_t{1000}}}},
          {"all", {{"pairs", "all"}}},
          {"closest", {{"pairs", "closest"}}},
          {"closest by lists", {{"pairs", "closest"}, {"search", "lists"}}},
          {"one chunk", {{"pairs", "chunks"}}},
          {"unique", {{"pairs", "unique"}}}};
}

class OrthogonalityModes : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Pairs, OrthogonalityModes, ::testing::Range(0, 10), [](const auto& info) {
  std::string name = choices_of_pairs()[static_cast<std::size_t>(info.param)].first;
  for (char& letter : name) letter = letter == ' ' ? '_' : letter;
  return name;
});

/// Every shape, cosine, scope, co-activation and kind of rows, with and without frozen ones.
TEST_P(OrthogonalityModes, ValueAndGradientAreThoseOfTheWholeMatrix) {
  const auto [pairs, settings] = choices_of_pairs()[static_cast<std::size_t>(GetParam())];
  PairStep step(23, 6, 17, 40);
  for (const std::int64_t frozen : {0, 9}) {
    step.frozen = frozen;
    for (const char* const rows : {"decoder", "encoder"}) {
      for (const char* const cosine : {"absolute", "signed"}) {
        for (const char* const scope : {"all", "active"}) {
          for (const char* const weights : {"none", "norms", "joint"}) {
            if (pairs == "all" && weights == std::string("joint")) continue;
            // The rings of an assignment may go either way round: which is the neighbour of one row alone is
            // open, the pairs of all rows are not.
            if (pairs == "unique" && (frozen > 0 || scope == std::string("active"))) continue;
            for (const auto& [shape, numbers] : shapes()) {
              const Settings more = with(
                  numbers, {{"rows", rows}, {"cosine", cosine}, {"scope", scope}, {"coactivation", weights}});
              expect_as_dense(step, with(settings, more),
                              pairs + ", " + shape + ", " + cosine + ", " + scope + ", " + weights + ", " +
                                  rows + ", frozen " + std::to_string(frozen));
            }
          }
        }
      }
    }
  }
}

TEST_P(OrthogonalityModes, GradientsAgreeWithDifferences) {
  const auto [pairs, settings] = choices_of_pairs()[static_cast<std::size_t>(GetParam())];
  const PairStep step(9, 4, 12, 50);
  for (const auto& [shape, numbers] : shapes()) {
    for (const char* const cosine : {"absolute", "signed"}) {
      const Settings all = with(settings, with(numbers, {{"cosine", cosine}}));
      // Lists made anew each time, so that they follow.
      const auto value = [&] { return tests::prepared_orthogonality(9, 4, all)->value(step.view()); };
      const at::Tensor found = tests::autograd_gradient(value, step.weight);
      const at::Tensor expected = tests::numeric_gradient(value, step.weight);
      EXPECT_LT((found - expected).abs().max().item<double>(), 1e-7)
          << pairs << ", " << shape << ", " << cosine;
    }
  }
}

TEST_P(OrthogonalityModes, HardRowsAreAsInTheWholeMatrix) {
  const auto [pairs, settings] = choices_of_pairs()[static_cast<std::size_t>(GetParam())];
  PairStep step(12, 4, 12, 60);
  at::Tensor weight = step.weight.detach().clone();
  weight[2].zero_();
  weight[5].copy_(weight[3]);
  weight[8].copy_(-weight[3]);
  step.weight = weight.requires_grad_(true);
  for (const char* const cosine : {"absolute", "signed"}) {
    if (pairs == "unique") {  // equal rows make several assignments the best: only their sum is one
      const Settings all = with(settings, {{"cosine", cosine}});
      const at::Tensor value = tests::prepared_orthogonality(12, 4, all)->value(step.view());
      EXPECT_NEAR(value.item<double>(), tests::dense_orthogonality(step, all).item<double>(), 1e-9);
      continue;
    }
    for (const char* const scope : {"all", "active"}) {
      expect_as_dense(step, with(settings, {{"cosine", cosine}, {"scope", scope}, {"shape", "square"}}),
                      pairs + ", " + cosine + ", " + scope);
    }
  }
}

TEST_P(OrthogonalityModes, NobodyLooksForANeighbour) {
  const auto [pairs, settings] = choices_of_pairs()[static_cast<std::size_t>(GetParam())];
  PairStep silent(10, 4, 6, 70);
  silent.codes.zero_();
  PairStep frozen(10, 4, 6, 70);
  frozen.frozen = 10;
  PairStep one(10, 4, 6, 70);
  one.codes.slice(1, 0, 4).zero_();
  one.codes.slice(1, 5, 10).zero_();
  one.codes.select(1, 4).fill_(1);
  const auto sits_out = [&](const PairStep& step, const Settings& all) {
    return !tests::prepared_orthogonality(10, 4, all)->value(step.view()).defined();
  };
  EXPECT_TRUE(sits_out(silent, with(settings, {{"scope", "active"}}))) << pairs << ", all dead";
  EXPECT_TRUE(sits_out(frozen, settings)) << pairs << ", all frozen";
  EXPECT_FALSE(sits_out(silent, settings)) << pairs << ", all dead, but all look";
  expect_as_dense(frozen, with(settings, {{"rows", "encoder"}}), pairs + ", all decoder rows frozen");
  if (pairs != "unique") expect_as_dense(one, with(settings, {{"scope", "active"}}), pairs + ", one active");
  for (const std::int64_t n : {1, 2}) {
    const PairStep few(n, 4, 6, 80);
    expect_as_dense(few, settings, pairs + " of " + std::to_string(n));
    expect_as_dense(few, with(settings, {{"cosine", "signed"}}), pairs + " of " + std::to_string(n));
  }
}

TEST(Orthogonality, AnAssignmentIsKeptUntilItIsRenewed) {
  const Settings settings = {{"pairs", "unique"}, {"renew_every", std::int64_t{3}}};
  const PairStep before(15, 5, 9, 80);
  const PairStep after(15, 5, 9, 81);  // other rows
  auto term = tests::prepared_orthogonality(15, 5, settings);
  term->value(before.view());
  EXPECT_LT(term->report().at("deficit"), 1e-6);
  // The old pairs on new rows: less than what the best pairs would give, until the fourth call.
  const double best = tests::dense_orthogonality(after, settings).item<double>();
  EXPECT_LT(term->value(after.view()).item<double>(), best - 0.01);
  EXPECT_LT(term->value(after.view()).item<double>(), best - 0.01);
  EXPECT_NEAR(term->value(after.view()).item<double>(), best, 1e-9);
}

TEST(Orthogonality, ASilentNearestNeighbourIsPulled) {
  PairStep step(3, 4, 2, 90);
  step.weight = at::tensor({1.0, 0.0, 0.0, 0.0, 0.8, 0.6, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0}, at::kDouble)
                    .view({3, 4})
                    .requires_grad_(true);
  step.codes = at::tensor({1.0, 0.0, 0.0, 0.5, 0.0, 0.0}, at::kDouble).view({2, 3});  // only feature 0 fires
  const auto term = tests::prepared_orthogonality(3, 4, {{"scope", "active"}});
  const at::Tensor gradient = tests::autograd_gradient([&] { return term->value(step.view()); }, step.weight);
  EXPECT_NEAR(term->value(step.view()).item<double>(), 0.8, 1e-12);
  EXPECT_NEAR(gradient[1][0].item<double>(), 1 - 0.8 * 0.8, 1e-12);  // of the silent one
  EXPECT_NEAR(gradient[0][1].item<double>(), 0.6, 1e-12);
  EXPECT_EQ(gradient[2].abs().max().item<double>(), 0);
}

TEST(Orthogonality, TiedNeighboursShareTheGradient) {
  PairStep step(3, 4, 2, 90);
  // Rows 1 and 2 mirror each other in the second coordinate and are equally near to row 0.
  step.weight = at::tensor({1.0, 0.0, 0.0, 0.0, 0.6, 0.8, 0.0, 0.0, 0.6, -0.8, 0.0, 0.0}, at::kDouble)
                    .view({3, 4})
                    .requires_grad_(true);
  const auto term = tests::prepared_orthogonality(3, 4, {});
  const at::Tensor gradient = tests::autograd_gradient([&] { return term->value(step.view()); }, step.weight);
  EXPECT_NEAR(term->value(step.view()).item<double>(), 0.6, 1e-12);
  EXPECT_NEAR(gradient[0][1].item<double>(), 0.0, 1e-12);
  // Row 1 has row 0 as its neighbour (weight 1/3) and is half a neighbour of row 0 (1/6): d cos / dy = -0.48.
  EXPECT_NEAR(gradient[1][1].item<double>(), -0.48 * (1.0 / 3 + 1.0 / 6), 1e-12);
  EXPECT_NEAR(gradient[1][1].item<double>(), -gradient[2][1].item<double>(), 1e-12);
}

TEST(Orthogonality, FrozenRowsAreLookedAtAndStayAsTheyAre) {
  for (const bool unit_norm : {true, false}) {
    PairStep step(8, 5, 4, 100);
    at::Tensor rows = step.weight.detach().clone();
    rows[6].copy_(rows[1] + 0.01 * rows[6]);  // the nearest of a new one is a frozen one
    step.weight = (rows / rows.norm(2, 1, true)).requires_grad_(true);
    step.frozen = 5;
    step.unit_norm = unit_norm;
    for (const char* const pairs : {"nearest", "all", "closest", "chunks"}) {
      const Settings settings = {{"pairs", pairs}};
      expect_as_dense(step, settings, pairs);
      const auto term = tests::prepared_orthogonality(8, 5, settings);
      const at::Tensor gradient =
          tests::autograd_gradient([&] { return term->value(step.view()); }, step.weight);
      EXPECT_EQ(gradient.slice(0, 0, 5).abs().max().item<double>(), 0) << pairs;
      EXPECT_GT(gradient[6].abs().max().item<double>(), 0) << pairs;
    }
  }
}

/// Bussmann's trial, in the comments to Till 2024: mean + mean of largest + largest.
TEST(Orthogonality, MeanAndMeanMaxAndMaxMaxAddUp) {
  const PairStep step(30, 6, 8, 110);
  const StepView view = step.view();
  at::Tensor found = at::zeros({}, at::kDouble);
  for (const char* const pairs : {"all", "nearest", "closest"})
    found = found + tests::prepared_orthogonality(30, 6, {{"pairs", pairs}, {"cosine", "signed"}})
                        ->value(view.for_term(pairs));
  const at::Tensor units = step.weight / step.weight.norm(2, 1, true);
  const at::Tensor cosines = units.mm(units.t());
  const at::Tensor own = at::eye(30, at::kBool);
  const at::Tensor others = cosines.masked_fill(own, -2);
  const at::Tensor expected =
      cosines.masked_fill(own, 0).sum() / (30 * 29) + others.amax(1).mean() + others.max();
  EXPECT_NEAR(found.item<double>(), expected.item<double>(), 1e-12);
}

TEST(Orthogonality, TermsOfOneStepShareTheirSearch) {
  const PairStep step(9, 4, 5, 120);
  const StepView view = step.view();
  const auto refuse = []() -> std::vector<at::Tensor> { throw std::runtime_error("made again"); };
  EXPECT_THROW(view.once("nearest 1 absolute decoder rows", refuse), std::runtime_error);
  tests::prepared_orthogonality(9, 4, {})->value(view.for_term("one"));
  EXPECT_NO_THROW(view.for_term("two").once("nearest 1 absolute decoder rows", refuse));
  // What is near by another measure is another search.
  const auto value = [&](const Settings& settings) {
    return tests::prepared_orthogonality(9, 4, settings)->value(view).item<double>();
  };
  for (const Settings& other : {Settings{{"cosine", "signed"}}, Settings{{"rank", std::int64_t{2}}},
                                Settings{{"rows", "encoder"}}, Settings{{"scope", "active"}}}) {
    EXPECT_NEAR(value(other), tests::dense_orthogonality(step, other).item<double>(), 1e-12);
  }
}

}  // namespace
}  // namespace regulon
