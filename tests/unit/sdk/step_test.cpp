#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <regulon/error.h>
#include <regulon/step.h>

#include <set>

#include "tests/unit/support/gradients.h"
#include "tests/unit/support/toy_step.h"

namespace regulon {
namespace {

using tests::normal;
using tests::ToyStep;

/// Five draws of a generator.
std::vector<double> draws(const at::Generator& generator) {
  const at::Tensor numbers = at::rand({5}, generator, at::TensorOptions().dtype(at::kDouble));
  return {numbers.data_ptr<double>(), numbers.data_ptr<double>() + 5};
}

TEST(MixSeed, IsTheSameOnEveryMachineAndSpreads) {
  // Twice the first output of SplitMix64, the second time seeded with the first, which is e220a8397b1dcdaf.
  EXPECT_EQ(mix_seed(0, 0), 0xA706DD2F4D197E6FULL);
  std::set<std::uint64_t> seen;
  for (std::uint64_t seed = 0; seed < 64; ++seed) {
    for (std::uint64_t salt = 0; salt < 64; ++salt) seen.insert(mix_seed(seed, salt));
  }
  EXPECT_EQ(seen.size(), 64U * 64U);
  EXPECT_NE(mix_seed(1, 2), mix_seed(2, 1));
  int flipped = 0;
  for (int bit = 0; bit < 64; ++bit) {
    flipped += __builtin_popcountll(mix_seed(7, 1) ^ mix_seed(7 ^ (std::uint64_t{1} << bit), 1));
  }
  EXPECT_NEAR(flipped / 64.0, 32.0, 3.0);  // one bit of the seed flips half the bits
}

TEST(NamedGenerator, DependsOnSeedAndNameOnly) {
  EXPECT_EQ(draws(named_generator(5, "a")), draws(named_generator(5, "a")));
  EXPECT_NE(draws(named_generator(5, "a")), draws(named_generator(5, "b")));
  EXPECT_NE(draws(named_generator(5, "a")), draws(named_generator(6, "a")));
  EXPECT_NE(draws(named_generator(5, "")), draws(named_generator(5, "a")));
}

TEST(StepViewGenerator, IsTheTermsOwn) {
  const ToyStep toy;
  const StepView view = toy.view();
  const std::vector<double> first = draws(view.for_term("one").generator());
  draws(view.for_term("two").generator());
  EXPECT_EQ(draws(view.for_term("one").generator()), first);
  EXPECT_NE(draws(view.for_term("two").generator()), first);
}

TEST(Dictionary, NormsAndUnitRows) {
  const at::Tensor weight = at::tensor({3.0, 4.0, 0.0, 0.0, 0.0, -2.0}, at::kDouble).view({3, 2});
  const Dictionary dictionary(weight, at::zeros({2}, at::kDouble), 1, false);
  EXPECT_EQ(dictionary.features(), 3);
  EXPECT_EQ(dictionary.width(), 2);
  EXPECT_EQ(dictionary.frozen_rows(), 1);
  EXPECT_FALSE(dictionary.unit_norm());
  EXPECT_TRUE(at::allclose(dictionary.norms(), at::tensor({5.0, 0.0, 2.0}, at::kDouble)));
  EXPECT_TRUE(at::allclose(dictionary.unit_rows(),
                           at::tensor({0.6, 0.8, 0.0, 0.0, 0.0, -1.0}, at::kDouble).view({3, 2})));
}

TEST(Dictionary, GradientsOfDerivedTensors) {
  const at::Tensor weight = normal({4, 3}, 1).requires_grad_(true);
  const at::Tensor bias = at::zeros({3}, at::kDouble);
  const at::Tensor probe = normal({4, 3}, 2);
  tests::expect_gradient([&] { return (Dictionary(weight, bias).unit_rows() * probe).sum(); }, weight,
                         "unit rows");
  tests::expect_gradient([&] { return (Dictionary(weight, bias).norms() * probe.select(1, 0)).sum(); },
                         weight, "norms");
}

TEST(Dictionary, ZeroRowsHaveZeroGradient) {
  const at::Tensor weight = at::tensor({1.0, 2.0, 0.0, 0.0}, at::kDouble).view({2, 2}).requires_grad_(true);
  const Dictionary dictionary(weight, at::zeros({2}, at::kDouble));
  (dictionary.unit_rows() * normal({2, 2}, 3) + dictionary.norms().unsqueeze(1)).sum().backward();
  EXPECT_TRUE(weight.grad().isfinite().all().item<bool>());
  EXPECT_EQ(weight.grad()[1].abs().sum().item<double>(), 0.0);
  EXPECT_GT(weight.grad()[0].abs().sum().item<double>(), 0.0);
}

TEST(Dictionary, DerivedTensorsAreMadeOnceWithGradient) {
  const at::Tensor weight = normal({4, 3}, 1).requires_grad_(true);
  const Dictionary dictionary(weight, normal({3}, 2));
  const Dictionary copy = dictionary;
  {
    const c10::NoGradGuard no_gradient;
    EXPECT_TRUE(copy.unit_rows().requires_grad());
  }
  EXPECT_TRUE(copy.unit_rows().is_same(dictionary.unit_rows()));
  EXPECT_TRUE(copy.norms().is_same(dictionary.norms()));
  const Dictionary plain = dictionary.detach();
  EXPECT_FALSE(plain.weight().requires_grad());
  EXPECT_FALSE(plain.norms().requires_grad());
  EXPECT_FALSE(plain.unit_rows().requires_grad());
  EXPECT_TRUE(at::equal(plain.unit_rows(), dictionary.unit_rows()));
}

TEST(Dictionary, RefusesWhatDoesNotFit) {
  const at::Tensor weight = at::zeros({4, 3});
  EXPECT_THROW(Dictionary(at::zeros({4}), at::zeros({3})), RunError);
  EXPECT_THROW(Dictionary(at::zeros({4, 3}, at::kLong), at::zeros({3})), RunError);
  EXPECT_THROW(Dictionary(weight, at::zeros({4})), RunError);
  EXPECT_THROW(Dictionary(weight, at::Tensor()), RunError);
  EXPECT_THROW(Dictionary(weight, at::zeros({3}), 5), RunError);
  EXPECT_THROW(Dictionary(weight, at::zeros({3}), -1), RunError);
  EXPECT_NO_THROW(Dictionary(weight, at::zeros({3}), 4));
}

TEST(StepView, ReconstructionIsTheMatrixProduct) {
  const ToyStep toy;
  const StepView view = toy.view();
  const at::Tensor expected = at::matmul(toy.dense(), toy.weight.detach()) + toy.bias.detach();
  EXPECT_TRUE(at::allclose(view.reconstruction().detach(), expected));
  EXPECT_TRUE(view.for_term("x").reconstruction().is_same(view.reconstruction()));
}

TEST(StepView, OnceMakesEachKeyOnce) {
  const ToyStep toy;
  const StepView view = toy.view();
  int calls = 0;
  const auto make = [&] {
    ++calls;
    return std::vector<at::Tensor>{at::ones({1})};
  };
  const at::Tensor first = view.for_term("one").once("key", make)[0];
  EXPECT_TRUE(view.for_term("two").once("key", make)[0].is_same(first));
  EXPECT_EQ(calls, 1);
  view.once("other", make);
  EXPECT_EQ(calls, 2);
}

TEST(StepView, OnceKeepsNothingOfAFailedComputation) {
  const ToyStep toy;
  const StepView view = toy.view();
  EXPECT_THROW(view.once("key", []() -> std::vector<at::Tensor> { throw std::runtime_error("no"); }),
               std::runtime_error);
  EXPECT_EQ(view.once("key", [] { return std::vector<at::Tensor>(2); }).size(), 2U);
}

TEST(StepView, SaysWhatIsMissing) {
  const ToyStep toy;
  EXPECT_THROW(toy.view().encoder_directions(), RunError);
  EXPECT_THROW(toy.view().encode(Selection{}), RunError);
}

}  // namespace
}  // namespace regulon
