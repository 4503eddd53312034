#include "core/train/adam.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <regulon/ops.h>
#include <regulon/step.h>

#include <limits>
#include <stdexcept>

#include "tests/unit/support/expect_error.h"

namespace regulon::core {
namespace {

at::Tensor leaf(at::IntArrayRef shape, std::uint64_t seed) {
  return at::randn(shape, named_generator(seed, "adam"), at::TensorOptions(at::kFloat)).requires_grad_(true);
}

at::Tensor unit_leaf(at::IntArrayRef shape, std::uint64_t seed) {
  const at::Tensor rows = leaf(shape, seed).detach();
  return (rows / rows.norm(2, {1}, true)).requires_grad_(true);
}

/// Adam as the paper writes it (algorithm 1), in double, with the gradient prepared beforehand.
struct PlainAdam {
  at::Tensor weight, first, second;
  int count = 0;
  void step(const at::Tensor& gradient, double rate, const OptimiserSection& s) {
    ++count;
    first = s.beta1 * first + (1 - s.beta1) * gradient;
    second = s.beta2 * second + (1 - s.beta2) * gradient * gradient;
    const at::Tensor first_hat = first / (1 - std::pow(s.beta1, count));
    const at::Tensor second_hat = second / (1 - std::pow(s.beta2, count));
    weight = weight - rate * first_hat / (second_hat.sqrt() + s.epsilon);
  }
};

PlainAdam plain(const at::Tensor& weight) {
  const at::Tensor start = weight.detach().to(at::kDouble).clone();
  return {start, at::zeros_like(start), at::zeros_like(start)};
}

void set_gradient(const at::Tensor& weight, std::uint64_t seed) {
  weight.mutable_grad() = leaf(weight.sizes(), seed).detach();
}

TEST(Adam, FollowsThePaper) {
  OptimiserSection section;
  at::Tensor weight = leaf({7, 37}, 1);
  at::Tensor bias = leaf({5000}, 2);  // longer than one chunk
  PlainAdam expected_weight = plain(weight);
  PlainAdam expected_bias = plain(bias);
  Adam adam(section, {{"weight", weight}, {"bias", bias}});
  for (std::uint64_t step = 0; step < 10; ++step) {
    set_gradient(weight, 10 + step);
    set_gradient(bias, 30 + step);
    expected_weight.step(weight.grad().to(at::kDouble), 1e-2, section);
    expected_bias.step(bias.grad().to(at::kDouble), 1e-2, section);
    adam.step(1e-2, false);
    EXPECT_FALSE(weight.grad().defined());
  }
  EXPECT_LT((weight.detach() - expected_weight.weight).abs().max().item<double>(), 1e-5);
  EXPECT_LT((bias.detach() - expected_bias.weight).abs().max().item<double>(), 1e-5);
}

TEST(Adam, LeavesFrozenRowsAloneAndOutOfTheNorm) {
  OptimiserSection section;
  section.clip = 0.5;  // so that what counts in the norm shows
  for (const std::int64_t frozen : {3, 7}) {
    at::Tensor weight = unit_leaf({7, 37}, 1);
    at::Tensor bias = leaf({7}, 2);
    const at::Tensor start = weight.detach().clone();
    const std::int64_t learns = 7 - frozen;
    at::Tensor part = start.narrow(0, frozen, learns).clone().requires_grad_(true);
    at::Tensor part_bias = bias.detach().narrow(0, frozen, learns).clone().requires_grad_(true);
    Adam adam(section, {{"weight", weight, true, true, frozen}, {"bias", bias, false, false, frozen}});
    Adam expected(section, {{"weight", part, true, true}, {"bias", part_bias}});
    for (std::uint64_t step = 0; step < 5; ++step) {
      set_gradient(weight, 10 + step);
      set_gradient(bias, 30 + step);
      part.mutable_grad() = weight.grad().narrow(0, frozen, learns).clone();
      part_bias.mutable_grad() = bias.grad().narrow(0, frozen, learns).clone();
      EXPECT_EQ(adam.step(1e-2, true), expected.step(1e-2, true));
    }
    EXPECT_TRUE(weight.detach().narrow(0, 0, frozen).equal(start.narrow(0, 0, frozen)));
    EXPECT_TRUE(weight.detach().narrow(0, frozen, learns).equal(part.detach()));
    EXPECT_TRUE(bias.detach().narrow(0, frozen, learns).equal(part_bias.detach()));
  }
}

TEST(Adam, DropsTheParallelPartAndKeepsRowsAtNormOne) {
  OptimiserSection section;
  at::Tensor weight = unit_leaf({6, 20}, 3);
  PlainAdam expected = plain(weight);
  Adam adam(section, {{"weight", weight, true, true}});
  for (std::uint64_t step = 0; step < 5; ++step) {
    set_gradient(weight, 50 + step);
    const at::Tensor gradient = weight.grad().to(at::kDouble);
    const at::Tensor along = (gradient * expected.weight).sum({1}, true);
    expected.step(gradient - along * expected.weight, 1e-2, section);
    expected.weight = expected.weight / expected.weight.norm(2, {1}, true);
    adam.step(1e-2, false);
  }
  EXPECT_LT((weight.detach() - expected.weight).abs().max().item<double>(), 1e-5);
  EXPECT_LT((weight.detach().norm(2, {1}) - 1).abs().max().item<double>(), 1e-6);
}

TEST(Adam, ClipsTheWholeGradientAfterTheProjection) {
  OptimiserSection section;
  section.clip = 0.5;
  at::Tensor weight = unit_leaf({6, 20}, 4);
  at::Tensor bias = leaf({20}, 5);
  PlainAdam expected = plain(bias);
  Adam adam(section, {{"weight", weight, true, true}, {"bias", bias}});
  set_gradient(weight, 60);
  set_gradient(bias, 61);
  const at::Tensor unit = weight.detach().to(at::kDouble);
  const at::Tensor raw = weight.grad().to(at::kDouble);
  const at::Tensor projected = raw - (raw * unit).sum({1}, true) * unit;
  const at::Tensor bias_gradient = bias.grad().to(at::kDouble);
  const double norm =
      std::sqrt(projected.square().sum().item<double>() + bias_gradient.square().sum().item<double>());
  ASSERT_GT(norm, section.clip);
  expected.step(bias_gradient * (section.clip / norm), 1e-2, section);
  EXPECT_NEAR(adam.step(1e-2, false), norm, 1e-5 * norm);
  EXPECT_LT((bias.detach() - expected.weight).abs().max().item<double>(), 1e-5);
}

TEST(Adam, GivesTheSameBitsForAnyNumberOfThreads) {
  const auto run = [](int threads) {
    const int before = at::get_num_threads();
    at::set_num_threads(threads);
    OptimiserSection section;
    section.clip = 0.1;
    at::Tensor weight = unit_leaf({300, 129}, 6);
    Adam adam(section, {{"weight", weight, true, true}});
    for (std::uint64_t step = 0; step < 3; ++step) {
      set_gradient(weight, 70 + step);
      adam.step(1e-2, true);
    }
    at::set_num_threads(before);
    return weight.detach().clone();
  };
  EXPECT_TRUE(at::equal(run(1), run(2)));
  EXPECT_TRUE(at::equal(run(1), run(3)));
}

TEST(Adam, LeavesParametersWithoutGradientAlone) {
  at::Tensor used = leaf({3, 4}, 7);
  at::Tensor unused = leaf({3, 4}, 8);
  const at::Tensor before = unused.detach().clone();
  Adam adam(OptimiserSection{}, {{"used", used}, {"unused", unused}});
  set_gradient(used, 80);
  adam.step(1e-2, false);
  EXPECT_TRUE(at::equal(unused.detach(), before));
}

TEST(Adam, ZeroRowStaysFinite) {
  at::Tensor weight = at::zeros({2, 8}).requires_grad_(true);
  Adam adam(OptimiserSection{}, {{"weight", weight, true, true}});
  weight.mutable_grad() = at::zeros({2, 8});
  adam.step(1e-2, true);
  EXPECT_TRUE(at::equal(weight.detach(), at::zeros({2, 8})));
}

TEST(Adam, NamesTheParameterWhoseGradientIsNotFinite) {
  for (const double bad :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    at::Tensor fine = leaf({3, 4}, 7);
    at::Tensor broken = leaf({3, 4}, 8);
    const at::Tensor before = broken.detach()[2].clone();
    Adam adam(OptimiserSection{}, {{"fine", fine}, {"broken", broken}});
    set_gradient(fine, 80);
    set_gradient(broken, 81);
    broken.mutable_grad()[2][1] = bad;
    tests::expect_error<RunError>([&] { adam.step(1e-2, false); }, {"the gradient of broken is not finite"});
    EXPECT_TRUE(at::equal(broken.detach()[2], before));
  }
}

TEST(Adam, StateRestoresTheSameContinuation) {
  const auto train = [](Adam& adam, at::Tensor& weight, std::uint64_t from, std::uint64_t to) {
    for (std::uint64_t step = from; step < to; ++step) {
      set_gradient(weight, 90 + step);
      adam.step(1e-2, false);
    }
  };
  at::Tensor whole = leaf({5, 9}, 9);
  Adam adam(OptimiserSection{}, {{"weight", whole}});
  train(adam, whole, 0, 3);
  at::Tensor second = whole.detach().clone().requires_grad_(true);
  Adam resumed(OptimiserSection{}, {{"weight", second}});
  resumed.load(adam.state(), "test");
  train(adam, whole, 3, 6);
  train(resumed, second, 3, 6);
  EXPECT_TRUE(at::equal(whole.detach(), second.detach()));
}

TEST(Adam, ResetClearsTheMomentsOfTheGivenFeaturesOnly) {
  at::Tensor weight = leaf({4, 3}, 10);
  Adam adam(OptimiserSection{}, {{"weight", weight}});
  set_gradient(weight, 100);
  adam.step(1e-2, false);
  adam.reset_features(at::tensor({1, 3}, at::kLong), 4);
  const at::Tensor first = find_tensor(adam.state(), "optimiser.first.weight");
  EXPECT_EQ(first[1].abs().sum().item<double>(), 0);
  EXPECT_EQ(first[3].abs().sum().item<double>(), 0);
  EXPECT_GT(first[0].abs().sum().item<double>(), 0);
  EXPECT_GT(first[2].abs().sum().item<double>(), 0);
}

/// What a dictionary of which five rows a row of a batch are chosen misses of it; and a use of all rows.
at::Tensor missed(const at::Tensor& weight, const at::Tensor& bias, std::uint64_t seed, bool with_dense_use) {
  const at::Tensor batch = leaf({256, weight.size(1)}, seed).detach();
  Selection best;
  best.family = Selection::Family::rank;
  best.k = 5;
  const Codes codes = ops::select_product({batch, weight, {}, {}}, best);
  const at::Tensor sum = (ops::decode(codes, weight, bias) - batch).square().sum();
  return with_dense_use ? sum + weight.abs().sum() : sum;
}

/// A dictionary and a bias under Adam.
struct Learner {
  Learner(const OptimiserSection& section, std::int64_t frozen)
      : adam(section, {{"weight", weight, true, true, frozen}, {"bias", bias}}) {}

  at::Tensor weight = unit_leaf({1000, 200}, 11);
  at::Tensor bias = at::zeros({200}).requires_grad_(true);
  Adam adam;
};

TEST(Adam, SumsTheRowsThatItsBackwardLeavesToTheSameBits) {
  for (const bool with_dense_use : {false, true}) {
    at::Tensor of_one_thread;
    for (const int threads : {1, 3}) {
      const int before = at::get_num_threads();
      at::set_num_threads(threads);
      Learner usual(OptimiserSection{}, 5);
      Learner pending(OptimiserSection{}, 5);
      for (std::uint64_t step = 0; step < 4; ++step) {
        const bool want_norm = step % 2 == 0;
        missed(usual.weight, usual.bias, 120 + step, with_dense_use).backward();
        pending.adam.backward(missed(pending.weight, pending.bias, 120 + step, with_dense_use));
        EXPECT_FALSE(pending.weight.grad().defined()) << "it was not left";
        EXPECT_EQ(pending.adam.step(1e-2, want_norm), usual.adam.step(1e-2, want_norm));
      }
      at::set_num_threads(before);
      EXPECT_TRUE(at::equal(pending.weight.detach(), usual.weight.detach()));
      EXPECT_TRUE(at::equal(pending.bias.detach(), usual.bias.detach()));
      if (threads == 1) of_one_thread = pending.weight.detach();
      EXPECT_TRUE(at::equal(pending.weight.detach(), of_one_thread));
    }
  }
}

TEST(Adam, MakesWhatItClips) {
  OptimiserSection section;
  section.clip = 0.05;
  Learner usual(section, 0);
  Learner clipped(section, 0);
  missed(usual.weight, usual.bias, 130, false).backward();
  clipped.adam.backward(missed(clipped.weight, clipped.bias, 130, false));
  EXPECT_TRUE(at::equal(clipped.weight.grad(), usual.weight.grad()));
  EXPECT_EQ(clipped.adam.step(1e-2, false), usual.adam.step(1e-2, false));
  EXPECT_TRUE(at::equal(clipped.weight.detach(), usual.weight.detach()));
}

TEST(Adam, GradientsAddUpUntilTheStep) {
  Learner usual(OptimiserSection{}, 0);
  Learner twice(OptimiserSection{}, 0);
  for (const std::uint64_t seed : {140, 141}) {
    missed(usual.weight, usual.bias, seed, false).backward();
    twice.adam.backward(missed(twice.weight, twice.bias, seed, false));
  }
  const double norm = usual.adam.step(1e-3, true);
  EXPECT_NEAR(twice.adam.step(1e-3, true), norm, 1e-5 * norm);
  EXPECT_TRUE(at::allclose(twice.bias.detach(), usual.bias.detach(), 1e-5, 1e-6));
}

TEST(Adam, WhatABackwardThatThrewHasLeftIsNotPartOfTheStep) {
  Learner usual(OptimiserSection{}, 0);
  Learner learner(OptimiserSection{}, 0);
  missed(usual.weight, usual.bias, 150, false).backward();
  learner.adam.backward(missed(learner.weight, learner.bias, 150, false));
  // Made first, so that backward comes to it last, when all rows of the weight are in.
  const at::Tensor failing = learner.bias * 1;
  failing.register_hook([](const at::Tensor&) -> at::Tensor { throw std::runtime_error("on purpose"); });
  const at::Tensor early = failing.sum();
  const at::Tensor loss = missed(learner.weight, learner.bias.detach(), 151, false) + early;
  EXPECT_THROW(learner.adam.backward(loss), std::exception);
  EXPECT_EQ(learner.adam.step(1e-2, true), usual.adam.step(1e-2, true));
  EXPECT_TRUE(at::equal(learner.weight.detach(), usual.weight.detach()));
}

TEST(Adam, NamesTheParameterWhoseLeftGradientIsNotFinite) {
  at::Tensor weight = unit_leaf({300, 24}, 12);
  Adam adam(OptimiserSection{}, {{"weight", weight}});
  const Codes codes = Codes::sparse(300, at::tensor({0, 1}, at::kLong), at::tensor({2}, at::kInt),
                                    at::full({1}, std::numeric_limits<float>::infinity()));
  adam.backward(ops::decode(codes, weight, {}).sum());
  const at::Tensor before = weight.detach().clone();
  tests::expect_error<RunError>([&] { adam.step(1e-2, true); },
                                {"the gradient of the parameters is not finite"});
  tests::expect_error<RunError>([&] { adam.step(1e-2, false); }, {"the gradient of weight is not finite"});
  EXPECT_TRUE(at::equal(weight.detach()[2], before[2]));
}

TEST(LearningRate, WarmsUpAndDecaysLinearly) {
  OptimiserSection section;
  section.learning_rate = 1.0;
  section.warm_up = 4;
  section.decay = 0.25;
  EXPECT_DOUBLE_EQ(learning_rate_at(section, 0, 100), 0.25);
  EXPECT_DOUBLE_EQ(learning_rate_at(section, 3, 100), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate_at(section, 50, 100), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate_at(section, 75, 100), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate_at(section, 99, 100), 0.04);
}

}  // namespace
}  // namespace regulon::core
