/// coherence_cap: the penalty against a dense formula, the projection by brute force over all pairs.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <regulon/coherence.h>
#include <regulon/loss_term.h>

#include <cmath>

#include "tests/unit/support/dictionary_step.h"
#include "tests/unit/support/gradients.h"
#include "tests/unit/support/load_plugin.h"
#include "tests/unit/support/toy_step.h"

namespace regulon::coherence_cap_test {
namespace {

using tests::DictionaryStep;
using tests::normal;
using Settings = std::map<std::string, ParamValue>;

at::Tensor dense_cosines(const at::Tensor& rows) {
  const at::Tensor norms = rows.norm(2, 1, true);
  const at::Tensor unit = rows / at::where(norms > 0, norms, at::ones_like(norms));
  return at::matmul(unit, unit.t()) * (1 - at::eye(rows.size(0), rows.options().requires_grad(false)));
}

/// The largest |cosine| of two rows, one of them at least `frozen`, from the whole n x n matrix in double.
double coherence(const at::Tensor& rows, std::int64_t frozen = 0) {
  const at::Tensor cosines = dense_cosines(rows.to(at::kDouble)).abs();
  return cosines.narrow(0, frozen, rows.size(0) - frozen).max().item<double>();
}

at::Tensor dense_penalty(const at::Tensor& weight, double mu, std::int64_t frozen) {
  const std::int64_t learning = weight.size(0) - frozen;
  const at::Tensor rows = at::cat({weight.narrow(0, 0, frozen).detach(), weight.narrow(0, frozen, learning)});
  const at::Tensor above = (dense_cosines(rows).abs() - mu).clamp_min(0);
  return above.narrow(0, frozen, learning).square().sum() / static_cast<double>(learning);
}

TEST(CoherenceCap, PenalisesAllPairsAboveMuAsADenseFormulaDoes) {
  for (const double mu : {0.0, 0.3, 0.9}) {
    const auto term = tests::make_plugin<LossTerm>("coherence_cap", {{"mu", mu}});
    for (const auto& [n, d] : std::vector<std::pair<int, int>>{{11, 4}, {150, 5}, {200, 60}, {2, 3}}) {
      for (const std::int64_t frozen : {0, n / 3}) {
        const std::string what = std::to_string(n) + " rows above " + std::to_string(mu);
        at::Tensor rows = normal({n, d}, 21);
        if (n > 100) rows[7] = rows[100] + 0.1 * rows[8];  // one close pair at least
        if (n == 11) rows[5].zero_();
        const DictionaryStep step{rows.requires_grad_(true), frozen};
        const auto value = [&] { return term->value(step.view()); };
        const auto reference = [&] { return dense_penalty(step.weight, mu, frozen); };
        EXPECT_EQ(value().dim(), 0);
        EXPECT_NEAR(value().item<double>(), reference().item<double>(),
                    1e-12 * (1 + reference().item<double>()))
            << what;
        const at::Tensor expected = tests::autograd_gradient(reference, step.weight).nan_to_num(0);
        const at::Tensor found = tests::autograd_gradient(value, step.weight);
        EXPECT_LT((found - expected).abs().max().item<double>(),
                  1e-12 * (1 + expected.abs().max().item<double>()))
            << what;
        EXPECT_EQ(found.narrow(0, 0, frozen).abs().sum().item<double>(), 0.0) << what;
      }
    }
  }
  const DictionaryStep step{normal({9, 4}, 22).requires_grad_(true)};
  const auto term = tests::make_plugin<LossTerm>("coherence_cap", {{"mu", 0.3}});
  tests::expect_gradient([&] { return term->value(step.view()); }, step.weight, "differences");
}

TEST(CoherenceCap, OneRowAndFrozenRowsAloneHaveNoPenalty) {
  const auto term = tests::make_plugin<LossTerm>("coherence_cap", {{"mu", 0.0}});
  const DictionaryStep one{normal({1, 3}, 23).requires_grad_(true)};
  EXPECT_EQ(term->value(one.view()).item<double>(), 0.0);
  const DictionaryStep frozen{normal({3, 3}, 23).requires_grad_(true), 3};
  EXPECT_FALSE(term->value(frozen.view()).defined());
}

ops::CapSettings settings(double mu, double tolerance = 1e-4) {
  ops::CapSettings chosen;
  chosen.mu = mu;
  chosen.tolerance = tolerance;
  chosen.iterations = 1000;
  chosen.generator = named_generator(5, "cap");
  return chosen;
}

/// Caps `rows` and expects what every cap promises: by brute force, norms kept, and ids of what moved.
ops::CapResult expect_capped(at::Tensor& rows, const ops::CapSettings& chosen, const std::string& what) {
  const at::Tensor before = rows.clone();
  const ops::CapResult result = ops::cap_coherence(rows, chosen);
  const double rounding = rows.scalar_type() == at::kDouble ? 1e-12 : 1e-6;
  EXPECT_TRUE(result.reached) << what << ": " << result.after;
  EXPECT_NEAR(result.before, coherence(before, chosen.frozen_rows), rounding) << what;
  EXPECT_NEAR(result.after, coherence(rows, chosen.frozen_rows), rounding) << what;
  EXPECT_LE(coherence(rows, chosen.frozen_rows), chosen.mu + chosen.tolerance + rounding) << what;
  EXPECT_LT((rows.norm(2, 1) - before.norm(2, 1)).abs().max().item<double>(), 10 * rounding) << what;
  EXPECT_TRUE(at::equal((rows != before).any(1).nonzero().squeeze(1), result.moved)) << what;
  EXPECT_TRUE(at::equal(rows.narrow(0, 0, chosen.frozen_rows), before.narrow(0, 0, chosen.frozen_rows)))
      << what;
  return result;
}

TEST(CapCoherence, TurnsOnePairApartByHalfEachAndTouchesNothingElse) {
  // Rows 0 and 1 at a cosine of .8, the others orthogonal to both.
  at::Tensor rows = at::eye(5, at::kDouble).mul(3);
  rows[1][0] = 4.0;
  const at::Tensor before = rows.clone();
  const ops::CapResult result = expect_capped(rows, settings(0.5), "one pair");
  EXPECT_EQ(result.moved.numel(), 2);
  EXPECT_EQ(result.passes, 2);
  EXPECT_NEAR(coherence(rows), 0.5, 1e-12);
  const auto angle = [&](std::int64_t i) {
    return std::acos((rows[i].dot(before[i]) / (rows[i].norm() * before[i].norm())).item<double>());
  };
  const double whole = std::acos(0.5) - std::acos(0.8);
  EXPECT_NEAR(angle(0), whole / 2, 1e-9);
  EXPECT_NEAR(angle(1), whole / 2, 1e-9);

  // Opposite rows are as close as equal ones; a frozen row leaves the whole turn to the other.
  at::Tensor opposite = before.clone();
  opposite[1].neg_();
  ops::CapSettings with_frozen = settings(0.5);
  with_frozen.frozen_rows = 1;
  EXPECT_EQ(expect_capped(opposite, with_frozen, "frozen").moved.numel(), 1);
  EXPECT_NEAR((opposite[0].dot(opposite[1]) / (opposite[0].norm() * opposite[1].norm())).item<double>(), -0.5,
              1e-9);
}

TEST(CapCoherence, LeavesWhatIsBelowMuAsItIs) {
  at::Tensor rows = normal({40, 30}, 31);
  const ops::CapResult result = expect_capped(rows, settings(coherence(rows) + 1e-6), "below");
  EXPECT_EQ(result.passes, 1);
  EXPECT_EQ(result.moved.numel(), 0);
}

TEST(CapCoherence, ReachesRandomRowsOfEverySize) {
  for (const auto dtype : {at::kDouble, at::kFloat}) {
    for (const auto& [n, d, mu] : std::vector<std::tuple<int, int, double>>{{40, 20, 0.25},
                                                                            {300, 30, 0.4},
                                                                            {700, 64, 0.3},
                                                                            {64, 64, 0.0},
                                                                            {20, 64, 0.0},
                                                                            {2, 2, 0.0},
                                                                            {16, 6, 0.45}}) {
      at::Tensor rows = normal({n, d}, 32).mul_(2).to(dtype);
      expect_capped(rows, settings(mu), std::to_string(n) + " rows in " + std::to_string(d));
    }
  }
}

TEST(CapCoherence, ReachesTheWelchBoundOfASimplex) {
  for (const std::int64_t d : {2, 3, 8, 32}) {
    at::Tensor rows = normal({d + 1, d}, 33);
    EXPECT_NEAR(ops::welch_bound(d + 1, d), 1.0 / static_cast<double>(d), 1e-12);
    expect_capped(rows, settings(ops::welch_bound(d + 1, d)), "simplex in " + std::to_string(d));
  }
  at::Tensor close = normal({40, 20}, 34);
  expect_capped(close, settings(1.1 * ops::welch_bound(40, 20)), "1.1 of the bound");
  EXPECT_EQ(ops::welch_bound(4, 4), 0.0);
  EXPECT_EQ(ops::welch_bound(1, 0), 0.0);
  EXPECT_NEAR(ops::welch_bound(7, 1), 1.0, 1e-15);
}

TEST(CapCoherence, PartsEqualRowsAndLeavesZeroRows) {
  for (const auto dtype : {at::kDouble, at::kFloat}) {
    at::Tensor rows = normal({1, 16}, 35).repeat({12, 1}).to(dtype);
    rows[3].neg_();
    rows[5].zero_();
    expect_capped(rows, settings(0.4), "equal rows");
    EXPECT_EQ(rows[5].abs().max().item<double>(), 0.0);
    at::Tensor one = normal({1, 3}, 36).to(dtype);
    EXPECT_EQ(expect_capped(one, settings(0.0), "one row").moved.numel(), 0);
    at::Tensor zeros = at::zeros({4, 3}, dtype);
    EXPECT_EQ(expect_capped(zeros, settings(0.0), "zeros").after, 0.0);
    at::Tensor two = at::ones({2, 3}, dtype);
    expect_capped(two, settings(0.0), "two equal rows");
  }
}

TEST(CapCoherence, KeepsFrozenRowsWhateverTheirCosines) {
  at::Tensor rows = normal({60, 24}, 37);
  rows[1] = rows[0] + 0.01 * rows[2];
  ops::CapSettings chosen = settings(0.45);
  chosen.frozen_rows = 20;
  expect_capped(rows, chosen, "frozen");
  EXPECT_GT(coherence(rows), 0.9);
}

TEST(CapCoherence, SaysHowFarItGotWhenItFailsAndWritesNothingThen) {
  at::Tensor rows = normal({40, 20}, 38);
  const at::Tensor before = rows.clone();
  const double bound = ops::welch_bound(40, 20);
  const ops::CapResult result = ops::cap_coherence(rows, settings(bound));
  EXPECT_FALSE(result.reached);
  EXPECT_GT(result.after, bound + 1e-4);
  EXPECT_LT(result.after, bound + 0.1);
  EXPECT_GT(result.before, bound + 0.2);
  EXPECT_TRUE(at::equal(rows, before));
  at::Tensor line = normal({3, 1}, 40);  // one dimension: all are equal or opposite
  EXPECT_FALSE(ops::cap_coherence(line, settings(0.5)).reached);
  rows[0][0] = std::nan("");
  EXPECT_THROW(ops::cap_coherence(rows, settings(0.9)), RunError);
}

TEST(CapCoherence, DoesNotDependOnThreads) {
  const at::Tensor start = normal({700, 48}, 39).to(at::kFloat);
  const int threads = at::get_num_threads();
  std::vector<at::Tensor> results;
  for (const int count : {1, 3}) {
    at::set_num_threads(count);
    results.push_back(start.clone());
    expect_capped(results.back(), settings(0.35), "threads");
  }
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(results[0], results[1]));
}

/// The term with its hook, as the trainer calls it.
struct Hook {
  explicit Hook(const at::Tensor& weight, Settings parameters) {
    parameters.emplace("projection", true);
    term = tests::make_plugin<LossTerm>("coherence_cap", parameters);
    update.dictionary_weight = weight;
    update.generator = named_generator(3, "hook");
    preparation.features = weight.size(0);
    preparation.width = weight.size(1);
  }
  Preparation preparation;
  UpdateView update;
  std::unique_ptr<LossTerm> term;
};

TEST(CoherenceCap, ProjectsTheDecoderAfterTheStep) {
  Hook hook(normal({30, 12}, 41), {{"mu", 0.45}});
  hook.term->prepare(hook.preparation);
  EXPECT_TRUE(hook.term->acts_after_step());
  const DictionaryStep step{normal({5, 3}, 42).requires_grad_(true)};
  EXPECT_FALSE(hook.term->value(step.view()).defined());
  const double before = coherence(hook.update.dictionary_weight);
  hook.term->after_step(hook.update);
  EXPECT_LE(coherence(hook.update.dictionary_weight), 0.45 + 1e-4 + 1e-12);
  const auto report = hook.term->report();
  EXPECT_NEAR(report.at("coherence_before"), before, 1e-12);
  EXPECT_NEAR(report.at("coherence"), coherence(hook.update.dictionary_weight), 1e-12);
  EXPECT_GT(report.at("moved_rows"), 0);
  EXPECT_FALSE(tests::make_plugin<LossTerm>("coherence_cap")->acts_after_step());
}

TEST(CoherenceCap, ReportsTheLastTurnAfterAResumeAndNothingBeforeTheFirst) {
  Hook whole(normal({30, 12}, 41), {{"mu", 0.45}});
  Hook resumed(normal({30, 12}, 41), {{"mu", 0.45}});
  for (Hook* const hook : {&whole, &resumed}) hook->term->prepare(hook->preparation);
  EXPECT_TRUE(whole.term->report().empty());
  whole.term->after_step(whole.update);
  ASSERT_FALSE(whole.preparation.states().empty());
  for (std::size_t i = 0; i < whole.preparation.states().size(); ++i)
    resumed.preparation.states()[i].tensor.copy_(whole.preparation.states()[i].tensor);
  EXPECT_EQ(resumed.term->report(), whole.term->report());
  EXPECT_EQ(resumed.term->report().size(), 3U);
  EXPECT_EQ(fence_violation(whole.preparation.states()[0]), "");
}

/// 18 frozen features in 12 dimensions leave twelve that learn: they can be at right angles to each other.
TEST(CoherenceCap, AsksOfLearningFeaturesOnlyWhatTheyCanReach) {
  at::Tensor rows = at::cat({normal({1, 12}, 44).repeat({18, 1}), normal({12, 12}, 45)});
  const double bound_of_all = ops::welch_bound(30, 12);
  Hook hook(rows, {{"mu", 0.7 * bound_of_all}});
  hook.term->prepare(hook.preparation);
  hook.update.frozen_rows = 18;
  hook.term->after_step(hook.update);
  EXPECT_LE(coherence(hook.update.dictionary_weight, 18), 0.7 * bound_of_all + 1e-4 + 1e-12);
  // Thirty that learn are too many, whatever is frozen beside them.
  Hook many(normal({48, 12}, 46), {{"mu", 0.7 * bound_of_all}});
  many.term->prepare(many.preparation);
  many.update.frozen_rows = 18;
  try {
    many.term->after_step(many.update);
    ADD_FAILURE() << "below the bound of those that learn";
  } catch (const RunError& error) {
    EXPECT_NE(std::string(error.what()).find("30 learning features in 12"), std::string::npos)
        << error.what();
  }
}

TEST(CoherenceCap, OnePassIsEnoughForOnePair) {
  at::Tensor rows = at::eye(5, at::kDouble);
  rows[1][0] = 2.0;
  Hook hook(rows, {{"mu", 0.5}, {"iterations", std::int64_t{1}}});
  hook.term->prepare(hook.preparation);
  hook.term->after_step(hook.update);
  EXPECT_NEAR(coherence(hook.update.dictionary_weight), 0.5, 1e-4);
}

TEST(CoherenceCap, RefusesACapBelowTheWelchBoundAndNamesIt) {
  Hook below(normal({30, 12}, 41), {{"mu", 0.2}});
  below.term->prepare(below.preparation);
  try {
    below.term->after_step(below.update);
    ADD_FAILURE() << "below the bound";
  } catch (const RunError& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find(std::to_string(std::sqrt(18.0 / (12 * 29)))), std::string::npos) << message;
    EXPECT_NE(message.find("30 features in 12 dimensions"), std::string::npos) << message;
  }
  // As a penalty it can be asked for: it cannot be zero.
  Hook penalty(normal({30, 12}, 41), {{"mu", 0.2}, {"projection", false}});
  EXPECT_NO_THROW(penalty.term->prepare(penalty.preparation));
  const DictionaryStep step{normal({30, 12}, 41).requires_grad_(true)};
  EXPECT_GT(penalty.term->value(step.view()).item<double>(), 0);

  Hook hopeless(normal({40, 4}, 43), {{"mu", ops::welch_bound(40, 4)}});
  hopeless.term->prepare(hopeless.preparation);
  try {
    hopeless.term->after_step(hopeless.update);
    ADD_FAILURE() << "no 40 lines in 4 dimensions reach their bound";
  } catch (const RunError& error) {
    EXPECT_NE(std::string(error.what()).find("raise mu"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace regulon::coherence_cap_test
