#include <gtest/gtest.h>
#include <regulon/encoder.h>

#include "tests/unit/support/gradients.h"
#include "tests/unit/support/prepared_encoder.h"

namespace regulon::linear_test {
namespace {

using tests::ToyStep;

struct Prepared : tests::PreparedEncoder {
  explicit Prepared(const std::map<std::string, ParamValue>& settings)
      : PreparedEncoder("linear", settings) {}
};

/// max(0, (x - center) · weight^T + bias), by plain matrix algebra.
at::Tensor expected(const Prepared& p, const at::Tensor& weight, bool centered) {
  const at::Tensor input = centered ? p.toy.batch - p.toy.bias.detach() : p.toy.batch;
  return (at::matmul(input, weight.detach().t()) + p.parameter("bias").detach()).clamp_min(0);
}

TEST(Linear, StartsAsTheDecodersTranspose) {
  Prepared p({});
  EXPECT_TRUE(at::equal(p.parameter("weight").detach(), p.toy.weight.detach()));
  EXPECT_EQ(p.parameter("bias").detach().abs().max().item<double>(), 0.0);
  EXPECT_TRUE(at::allclose(p.encode().to_dense(), expected(p, p.toy.weight, true)));
}

TEST(Linear, EncodesByItsOwnWeight) {
  for (const bool centered : {true, false}) {
    Prepared p({{"subtract_decoder_bias", centered}});
    p.perturb();
    EXPECT_TRUE(at::allclose(p.encode().to_dense(), expected(p, p.parameter("weight"), centered)))
        << centered;
    EXPECT_TRUE(p.encoder->directions(Dictionary(p.toy.weight, p.toy.bias)).is_same(p.parameter("weight")));
  }
}

TEST(Linear, TiedUsesTheDictionary) {
  Prepared p({{"tied", true}});
  p.perturb();
  EXPECT_FALSE(p.parameter("weight").defined());
  EXPECT_TRUE(at::allclose(p.encode().to_dense(), expected(p, p.toy.weight, true)));
  EXPECT_TRUE(p.encoder->directions(Dictionary(p.toy.weight, p.toy.bias)).is_same(p.toy.weight));
}

TEST(Linear, Gradients) {
  const at::Tensor probe = tests::normal({ToyStep::kRows, ToyStep::kFeatures}, 31);
  for (const bool tied : {false, true}) {
    Prepared p({{"tied", tied}});
    p.perturb();
    const auto value = [&] { return (p.encode().to_dense() * probe).sum(); };
    tests::expect_gradient(value, tied ? p.toy.weight : p.parameter("weight"), "weight");
    tests::expect_gradient(value, p.parameter("bias"), "bias");
    tests::expect_gradient(value, p.toy.bias, "dictionary bias");
  }
}

TEST(Linear, SaysWhatItProvides) {
  EXPECT_EQ(tests::make_plugin<Encoder>("linear")->provides(),
            (std::vector<std::string>{"encoder.directions", "encoder.product", "codes.gradient",
                                      "encoder.untied"}));
  EXPECT_EQ(tests::make_plugin<Encoder>("linear", {{"tied", true}})->provides(),
            (std::vector<std::string>{"encoder.directions", "encoder.product", "codes.gradient"}));
}

}  // namespace
}  // namespace regulon::linear_test
