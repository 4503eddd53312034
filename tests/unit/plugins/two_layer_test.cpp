#include <gtest/gtest.h>
#include <regulon/encoder.h>

#include "core/config/config.h"
#include "core/plugin/host.h"
#include "tests/unit/support/expect_error.h"
#include "tests/unit/support/gradients.h"
#include "tests/unit/support/prepared_encoder.h"

namespace regulon::two_layer_test {
namespace {

using tests::ToyStep;

struct Prepared : tests::PreparedEncoder {
  explicit Prepared(const std::map<std::string, ParamValue>& settings)
      : PreparedEncoder("two_layer", settings) {}
  /// The layers by plain matrix algebra; `function` is that of the hidden ones.
  template <class Function>
  at::Tensor expected(int layers, bool skip, bool centered, Function function) const {
    const at::Tensor input = centered ? toy.batch - toy.bias.detach() : toy.batch;
    at::Tensor hidden = input;
    for (int i = 0; i < layers; ++i) {
      const std::string name = "hidden." + std::to_string(i);
      hidden = function(at::matmul(hidden, parameter(name + ".weight").detach().t()) +
                        parameter(name + ".bias").detach());
    }
    if (skip) hidden = at::cat({hidden, input}, 1);
    return at::relu(at::matmul(hidden, parameter("weight").detach().t()) + parameter("bias").detach());
  }
};

using Widths = std::vector<std::int64_t>;

TEST(TwoLayer, EncodesAsItsLayersSay) {
  for (const bool centered : {true, false}) {
    for (const bool skip : {true, false}) {
      Prepared one({{"hidden", Widths{6}}, {"skip", skip}, {"subtract_decoder_bias", centered}});
      one.perturb();
      EXPECT_TRUE(
          at::allclose(one.encode().to_dense(),
                       one.expected(1, skip, centered, [](const at::Tensor& x) { return at::relu(x); })));
      Prepared three({{"hidden", Widths{6, 3, 5}},
                      {"skip", skip},
                      {"hidden_activation", std::string("gelu")},
                      {"subtract_decoder_bias", centered}});
      three.perturb();
      EXPECT_TRUE(
          at::allclose(three.encode().to_dense(),
                       three.expected(3, skip, centered, [](const at::Tensor& x) { return at::gelu(x); })));
      EXPECT_GT(three.encode().entries(), 3);
    }
  }
}

TEST(TwoLayer, Gradients) {
  const at::Tensor probe = tests::normal({ToyStep::kRows, ToyStep::kFeatures}, 31);
  for (const bool skip : {true, false}) {
    for (const char* function : {"relu", "gelu"}) {
      Prepared p({{"hidden", Widths{6, 5}}, {"skip", skip}, {"hidden_activation", std::string(function)}});
      p.perturb();
      const auto value = [&] { return (p.encode().to_dense() * probe).sum(); };
      for (const auto& registered : p.preparation.parameters())
        tests::expect_gradient(value, registered.tensor, registered.name);
      tests::expect_gradient(value, p.toy.bias, "dictionary bias");
    }
  }
}

TEST(TwoLayer, TakesAnySelection) {
  Prepared p({{"hidden", Widths{6}}});
  p.perturb();
  Selection two;
  two.family = Selection::Family::rank;
  two.k = 2;
  const at::Tensor all = p.expected(1, false, true, [](const at::Tensor& x) { return at::relu(x); });
  const at::Tensor kept = p.encode(two).to_dense();
  const at::Tensor floor = std::get<0>(all.topk(2, 1)).narrow(1, 1, 1);
  EXPECT_TRUE(at::allclose(kept, at::where(all >= floor, all, at::zeros_like(all))));
}

TEST(TwoLayer, StartsNearTheLinearEncoder) {
  const auto linear = [](const Prepared& p) {
    return at::relu(at::matmul(p.toy.batch - p.toy.bias.detach(), p.toy.weight.detach().t()));
  };
  Prepared skipping({{"hidden", Widths{6}}, {"skip", true}});
  EXPECT_TRUE(at::allclose(skipping.encode().to_dense(), linear(skipping)));
  Prepared plain({{"hidden", Widths{64}}});
  const at::Tensor off = (plain.encode().to_dense() - linear(plain)).norm() / linear(plain).norm();
  EXPECT_LT(off.item<double>(), 0.2);
}

TEST(TwoLayer, SaysWhatItProvides) {
  const auto encoder = tests::make_plugin<Encoder>("two_layer");
  EXPECT_EQ(encoder->provides(), std::vector<std::string>{"codes.gradient"});
  EXPECT_FALSE(encoder->directions(Dictionary(at::ones({2, 2}), at::ones({2}))).defined());
}

TEST(TwoLayer, RefusesWidthsThatMakeNoSense) {
  core::PluginHost host({std::filesystem::path(REGULON_BUILD_DIR) / "plugins"});
  const auto parse = [&](const std::string& hidden) {
    core::parse_config(
        "[run]\nsteps = 1\n[data]\nsource = \"toy.pairs\"\n[model]\nfeatures = 8\n[encoder]\nplugin = "
        "\"two_layer\"\n" +
            hidden + "[[loss]]\nplugin = \"mse\"\n",
        "test.toml", {}, host);
  };
  tests::expect_error<InputError>([&] { parse(""); }, {"hidden"});
  tests::expect_error<InputError>([&] { parse("hidden = 0\n"); }, {"hidden", "0 is below 1"});
  tests::expect_error<InputError>([&] { parse("hidden = [8, 99999999999]\n"); }, {"hidden", "99999999999"});
  EXPECT_NO_THROW(parse("hidden = [8, 4]\n"));
}

}  // namespace
}  // namespace regulon::two_layer_test
