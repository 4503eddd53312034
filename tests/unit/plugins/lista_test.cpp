#include <gtest/gtest.h>
#include <regulon/encoder.h>

#include "tests/unit/support/gradients.h"
#include "tests/unit/support/prepared_encoder.h"

namespace regulon::lista_test {
namespace {

using tests::ToyStep;

struct Prepared : tests::PreparedEncoder {
  explicit Prepared(const std::map<std::string, ParamValue>& settings) : PreparedEncoder("lista", settings) {
    perturb("eta");
  }
};

/// The recursion as papers write it: pre-activations add up.
TEST(Lista, AddsUpPreActivations) {
  for (const std::int64_t steps : {0, 1, 3}) {
    Prepared p({{"refinements", steps}, {"eta", 0.25}});
    const at::Tensor weight = p.parameter("weight").detach();
    const at::Tensor dictionary = p.toy.weight.detach();
    const at::Tensor bias = p.toy.bias.detach();
    at::Tensor z = at::matmul(p.toy.batch - bias, weight.t()) + p.parameter("bias").detach();
    for (std::int64_t step = 0; step < steps; ++step) {
      const at::Tensor residual = p.toy.batch - at::matmul(at::relu(z), dictionary) - bias;
      z = z + 0.25 * at::matmul(residual, weight.t());
    }
    EXPECT_TRUE(at::allclose(p.encode().to_dense(), at::relu(z))) << steps;
  }
}

TEST(Lista, OwnWeightsAreUsedInTheirSteps) {
  Prepared p({{"refinements", std::int64_t{1}}, {"own_weights", true}, {"eta", 0.5}});
  const auto product = [&](const at::Tensor& input, const char* step) {
    return at::relu(
        at::matmul(input - p.toy.bias.detach(), p.parameter(std::string("weight.") + step).detach().t()) +
        p.parameter(std::string("bias.") + step).detach());
  };
  const at::Tensor first = product(p.toy.batch, "0");
  const at::Tensor residual = p.toy.batch - at::matmul(first, p.toy.weight.detach()) - p.toy.bias.detach();
  EXPECT_TRUE(at::allclose(p.encode().to_dense(), product(p.toy.batch + 0.5 * residual, "1")));
  EXPECT_TRUE(p.encoder->directions(Dictionary(p.toy.weight, p.toy.bias)).is_same(p.parameter("weight.1")));
}

TEST(Lista, Gradients) {
  const at::Tensor probe = tests::normal({ToyStep::kRows, ToyStep::kFeatures}, 31);
  for (const bool own : {false, true}) {
    Prepared p({{"refinements", std::int64_t{2}}, {"own_weights", own}, {"learn_eta", true}, {"eta", 0.2}});
    const auto value = [&] { return (p.encode().to_dense() * probe).sum(); };
    EXPECT_EQ(p.preparation.parameters().size(), own ? 7U : 3U);
    for (const auto& registered : p.preparation.parameters())
      tests::expect_gradient(value, registered.tensor, registered.name);
    tests::expect_gradient(value, p.toy.weight, "dictionary");
    tests::expect_gradient(value, p.toy.bias, "dictionary bias");
  }
}

TEST(Lista, RefinementLowersTheErrorOfACoherentDictionary) {
  Prepared p({{"refinements", std::int64_t{0}}});
  Prepared refined({{"refinements", std::int64_t{5}}, {"eta", 0.1}});
  for (Prepared* each : {&p, &refined}) {
    each->parameter("weight").detach().copy_(each->toy.weight.detach());
    each->parameter("bias").detach().zero_();
  }
  const auto error = [](Prepared& each) {
    return (each.toy.batch - each.toy.bias.detach() -
            at::matmul(each.encode().to_dense().detach(), each.toy.weight.detach()))
        .square()
        .sum()
        .item<double>();
  };
  EXPECT_LT(error(refined), 0.5 * error(p));
}

TEST(Lista, TakesAnySelection) {
  Prepared p({{"refinements", std::int64_t{2}}});
  Selection two;
  two.family = Selection::Family::rank;
  two.k = 2;
  const Codes codes = p.encode(two);
  EXPECT_LE(codes.row_offsets().diff().max().item<std::int64_t>(), 2);
  EXPECT_GT(codes.entries(), 5);
}

TEST(Lista, SaysWhatItProvides) {
  EXPECT_EQ(tests::make_plugin<Encoder>("lista")->provides(),
            (std::vector<std::string>{"encoder.directions", "encoder.untied", "codes.gradient"}));
}

}  // namespace
}  // namespace regulon::lista_test
