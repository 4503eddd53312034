#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <regulon/activation.h>

#include <cmath>
#include <map>
#include <memory>

#include "tests/unit/support/load_plugin.h"
#include "tests/unit/support/toy_step.h"

namespace regulon {
namespace {

constexpr std::int64_t kCounted = 3;

const PluginDescriptor& descriptor_of(const std::string& name) {
  for (const PluginDescriptor& descriptor : activations()) {
    if (descriptor.name == name) return descriptor;
  }
  throw std::runtime_error("no activation " + name);
}

/// An activation prepared for kCounted features in double, with the registered tensors at hand.
struct Prepared {
  explicit Prepared(const std::string& name, const std::map<std::string, ParamValue>& settings = {})
      : activation(tests::make_plugin<Activation>(descriptor_of(name), settings)) {
    preparation.features = kCounted;
    preparation.width = 2;
    preparation.dictionary_weight = weight;
    activation->prepare(preparation);
  }
  Selection selection(bool training) const { return priced(training, at::ones({kCounted}, at::kDouble)); }
  Selection priced(bool training, const at::Tensor& costs) const {
    return activation->selection(
        {0, training, costs, Dictionary(weight, at::zeros({2}, at::kDouble), 0, false)});
  }
  at::Tensor weight = at::tensor({3.0, 4.0, 0.0, 2.0, 1.0, 0.0}, at::kDouble).view({kCounted, 2});
  Preparation preparation;
  std::unique_ptr<Activation> activation;
};

TEST(Activations, AreListedWithTheirInterface) {
  std::vector<std::string> names;
  for (const PluginDescriptor& descriptor : activations()) {
    EXPECT_EQ(descriptor.interface_id, "activation/1");
    EXPECT_FALSE(descriptor.summary.empty());
    for (const ParamSpec& param : descriptor.params) EXPECT_FALSE(param.doc.empty()) << param.name;
    names.push_back(descriptor.name);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"relu", "topk", "batch_topk", "jumprelu"}));
}

TEST(Relu, KeepsWhatIsAboveZero) {
  const Selection selection = Prepared("relu").selection(true);
  EXPECT_EQ(selection.family, Selection::Family::threshold);
  EXPECT_FALSE(selection.thresholds.defined());
  EXPECT_EQ(selection.window, 0.0);
}

TEST(Relu, MayHaveAThresholdThatDoesNotLearn) {
  const Selection selection = Prepared("relu", {{"threshold", 0.5}}).selection(true);
  EXPECT_EQ(selection.thresholds.item<double>(), 0.5);
  EXPECT_FALSE(selection.thresholds.requires_grad());
  EXPECT_EQ(selection.window, 0.0);
  const ParamSpec threshold = descriptor_of("relu").params.at(0);
  EXPECT_TRUE(threshold.schedulable);
  EXPECT_NE(violation(threshold, -0.1), "");
}

TEST(TopK, RanksWithinTheRow) {
  for (const bool training : {true, false}) {
    const Selection selection = Prepared("topk", {{"k", std::int64_t{5}}}).selection(training);
    EXPECT_EQ(selection.family, Selection::Family::rank);
    EXPECT_EQ(selection.scope, Selection::Scope::row);
    EXPECT_EQ(selection.k, 5);
    EXPECT_FALSE(selection.score_scale.defined());
  }
}

TEST(TopK, MayRankByTheDecodersNorm) {
  const Selection selection = Prepared("topk", {{"rescale_by_decoder_norm", true}}).selection(true);
  EXPECT_TRUE(at::allclose(selection.score_scale, at::tensor({5.0, 2.0, 1.0}, at::kDouble)));
}

const at::Tensor& costs() {
  static const at::Tensor kCosts = at::tensor({0.5, 1.0, 1.5}, at::kDouble);
  return kCosts;
}

TEST(TopK, MaySubtractTheCost) {
  for (const char* name : {"topk", "batch_topk"}) {
    const Prepared prepared(name, {{"cost_in_selection", "subtract"}, {"cost_weight", 0.25}});
    EXPECT_EQ(prepared.activation->needs(), std::vector<std::string>{"costs"});
    for (const bool training : {true, false}) {
      const Selection selection = prepared.priced(training, costs());
      EXPECT_TRUE(at::allclose(selection.score_shift, costs() * 0.25)) << name;
      EXPECT_FALSE(selection.score_scale.defined());
      EXPECT_FALSE(selection.prices.defined());
    }
  }
  EXPECT_TRUE(Prepared("topk").activation->needs().empty());
}

TEST(TopK, MayDivideByTheCostUnderABudget) {
  for (const char* name : {"topk", "batch_topk"}) {
    const Prepared prepared(name, {{"cost_in_selection", "divide"}, {"k", std::int64_t{2}}});
    EXPECT_EQ(prepared.activation->needs(), std::vector<std::string>{"costs"});
    const Selection selection = prepared.priced(true, costs() * 3);  // a common factor changes nothing
    EXPECT_TRUE(at::allclose(selection.score_scale, costs().reciprocal())) << name;
    EXPECT_TRUE(at::allclose(selection.prices, costs())) << name;
    EXPECT_EQ(selection.k, 2);
    EXPECT_FALSE(selection.score_shift.defined());
  }
  // What costs nothing, or all but nothing, is not taken without end.
  const Prepared prepared("topk", {{"cost_in_selection", "divide"}});
  const Selection cheap = prepared.priced(true, at::tensor({0.0, 1.0, 2.0}, at::kDouble));
  EXPECT_TRUE(at::allclose(cheap.prices, at::tensor({0.1, 1.0, 2.0}, at::kDouble)));
  const Selection free = prepared.priced(true, at::zeros({kCounted}, at::kDouble));
  EXPECT_TRUE(at::allclose(free.prices, at::ones({kCounted}, at::kDouble)));
}

TEST(TopK, DecoderNormsAndCostsCombine) {
  const at::Tensor norms = at::tensor({5.0, 2.0, 1.0}, at::kDouble);
  const at::Tensor z = at::tensor({0.3, 0.7, 1.9}, at::kDouble);
  const auto score = [&](const char* mode) {
    const Selection selection =
        Prepared("topk",
                 {{"cost_in_selection", mode}, {"cost_weight", 0.25}, {"rescale_by_decoder_norm", true}})
            .priced(true, costs());
    const at::Tensor shifted = selection.score_shift.defined() ? z - selection.score_shift : z;
    return shifted * selection.score_scale;
  };
  EXPECT_TRUE(at::allclose(score("subtract"), z * norms - 0.25 * costs()));
  EXPECT_TRUE(at::allclose(score("divide"), z * norms / costs()));
}

TEST(TopK, DeclaresK) {
  const ParamSpec k = descriptor_of("topk").params.at(0);
  EXPECT_EQ(k.name, "k");
  EXPECT_TRUE(k.schedulable);
  EXPECT_EQ(violation(k, std::int64_t{0}), "0 is below 1");
}

TEST(BatchTopK, RanksInTrainingAndThresholdsAfterwards) {
  Prepared prepared("batch_topk", {{"k", std::int64_t{4}}});
  const Selection training = prepared.selection(true);
  EXPECT_EQ(training.family, Selection::Family::rank);
  EXPECT_EQ(training.scope, Selection::Scope::batch);
  EXPECT_EQ(training.k, 4);
  const Selection inference = prepared.selection(false);
  EXPECT_EQ(inference.family, Selection::Family::threshold);
  ASSERT_TRUE(inference.thresholds.defined());
  EXPECT_EQ(inference.thresholds.item<double>(), 0.0);
}

TEST(BatchTopK, LearnsTheSmallestKeptValue) {
  Prepared prepared("batch_topk", {{"decay", 0.75}});
  const auto threshold = [&] { return prepared.selection(false).thresholds.item<double>(); };
  const at::Tensor offsets = at::tensor({0, 2, 3}, at::kLong);
  const at::Tensor ids = at::tensor({0, 2, 1}, at::kInt);
  const auto observe = [&](std::vector<double> values) {
    prepared.activation->observe(Codes::sparse(kCounted, offsets, ids, at::tensor(values, at::kDouble)), {});
  };
  observe({0.8, 2.0, 3.0});
  EXPECT_DOUBLE_EQ(threshold(), 0.8);  // the first one is taken whole
  observe({1.6, 0.4, 3.0});
  EXPECT_DOUBLE_EQ(threshold(), 0.75 * 0.8 + 0.25 * 0.4);
  observe({1.6, 0.0, 3.0});  // a zero is not a value that was kept
  EXPECT_DOUBLE_EQ(threshold(), 0.75 * 0.7 + 0.25 * 1.6);
  EXPECT_DOUBLE_EQ(prepared.activation->report().at("threshold"), threshold());
  ASSERT_EQ(prepared.preparation.states().size(), 2U);
  EXPECT_DOUBLE_EQ(prepared.preparation.states()[0].tensor.item<double>(), threshold());
  EXPECT_EQ(fence_violation(prepared.preparation.states()[0]), "");
}

/// At inference the threshold is held against scores: so what it learns is the smallest score, which may be
/// below zero.
TEST(BatchTopK, LearnsTheSmallestScore) {
  Prepared prepared("batch_topk", {{"decay", 0.75}, {"cost_in_selection", "subtract"}, {"cost_weight", 1.0}});
  const at::Tensor offsets = at::tensor({0, 2, 3}, at::kLong);
  const at::Tensor ids = at::tensor({0, 2, 1}, at::kInt);
  const Selection selection = prepared.priced(true, costs());
  const auto observe = [&](std::vector<double> values) {
    prepared.activation->observe(Codes::sparse(kCounted, offsets, ids, at::tensor(values, at::kDouble)),
                                 selection);
    return prepared.priced(false, costs()).thresholds.item<double>();
  };
  EXPECT_DOUBLE_EQ(observe({0.8, 1.1, 3.0}), 1.1 - 1.5);  // of 0.3, -0.4 and 2
  EXPECT_DOUBLE_EQ(observe({0.6, 2.0, 3.0}), 0.75 * -0.4 + 0.25 * 0.1);
}

TEST(BatchTopK, ReadsDenseCodesAndSitsOutEmptyOnes) {
  Prepared prepared("batch_topk", {{"decay", 0.5}});
  const auto threshold = [&] { return prepared.selection(false).thresholds.item<double>(); };
  prepared.activation->observe(
      Codes::dense(at::tensor({0.0, 0.5, 0.0, 2.0, 0.0, 0.0}, at::kDouble).view({2, 3})), {});
  EXPECT_DOUBLE_EQ(threshold(), 0.5);
  prepared.activation->observe(Codes::dense(at::zeros({2, 3}, at::kDouble)), {});
  EXPECT_DOUBLE_EQ(threshold(), 0.5);
  prepared.activation->observe(Codes::sparse(kCounted, at::zeros({3}, at::kLong), at::zeros({0}, at::kInt),
                                             at::zeros({0}, at::kDouble)),
                               {});
  EXPECT_DOUBLE_EQ(threshold(), 0.5);
}

TEST(BatchTopK, ObservesWithoutTouchingGradients) {
  Prepared prepared("batch_topk");
  const tests::ToyStep toy;
  prepared.activation->observe(toy.view().codes(), {});
  EXPECT_FALSE(prepared.selection(false).thresholds.requires_grad());
  EXPECT_DOUBLE_EQ(prepared.selection(false).thresholds.item<double>(),
                   toy.values.detach().min().item<double>());
}

TEST(JumpRelu, LearnsAThresholdPerFeature) {
  Prepared prepared("jumprelu", {{"threshold", 0.25}, {"bandwidth", 0.5}});
  ASSERT_EQ(prepared.preparation.parameters().size(), 1U);
  const at::Tensor learnt = prepared.preparation.parameters()[0].tensor;
  EXPECT_EQ(prepared.preparation.parameters()[0].name, "log_threshold");
  EXPECT_EQ(learnt.sizes(), at::IntArrayRef({kCounted}));
  const Selection selection = prepared.selection(true);
  EXPECT_EQ(selection.family, Selection::Family::threshold);
  EXPECT_EQ(selection.window, 0.5);
  EXPECT_TRUE(at::allclose(selection.thresholds.detach(), at::full({kCounted}, 0.25, at::kDouble)));
  EXPECT_DOUBLE_EQ(prepared.activation->report().at("threshold"), 0.25);
  EXPECT_EQ(prepared.activation->provides(), (std::vector<std::string>{"codes.open", "codes.spare"}));
  selection.thresholds.sum().backward();  // d exp(u) / du = theta
  EXPECT_TRUE(at::allclose(learnt.grad(), at::full({kCounted}, 0.25, at::kDouble)));
}

TEST(JumpRelu, MayLearnThetaItselfAndKeepsItAboveZero) {
  Prepared prepared("jumprelu", {{"threshold", 0.25}, {"learn", "linear"}});
  ASSERT_EQ(prepared.preparation.parameters().size(), 1U);
  EXPECT_EQ(prepared.preparation.parameters()[0].name, "threshold");
  const at::Tensor learnt = prepared.preparation.parameters()[0].tensor;
  EXPECT_TRUE(prepared.selection(true).thresholds.is_same(learnt));
  const at::NoGradGuard no_grad;
  learnt[1].fill_(-0.5);
  prepared.activation->observe(Codes::dense(at::zeros({2, 3}, at::kDouble)), prepared.selection(true));
  EXPECT_TRUE(at::allclose(learnt.detach(), at::tensor({0.25, 0.0, 0.25}, at::kDouble)));
}

TEST(JumpRelu, TakesItsKernelByName) {
  const std::vector<std::string> names = {"box", "triangle", "epanechnikov", "quartic", "cosine", "gaussian"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    const Selection selection = Prepared("jumprelu", {{"kernel", names[i]}}).selection(true);
    EXPECT_EQ(selection.kernel, static_cast<Selection::Kernel>(i)) << names[i];
    EXPECT_FALSE(selection.window_to_input);
  }
  EXPECT_TRUE(Prepared("jumprelu", {{"gradient_to_input", true}}).selection(true).window_to_input);
}

TEST(JumpRelu, SetsThetaFromASample) {
  for (const char* learn : {"log", "linear"}) {
    Prepared prepared("jumprelu", {{"threshold_l0", std::int64_t{2}}, {"learn", learn}});
    const at::Tensor z = at::tensor({0.5, 0.3, 0.9, 0.7, -0.2, 0.1}, at::kDouble).view({2, 3});
    const at::NoGradGuard no_grad;
    prepared.activation->start([&](const Selection& selection) {
      EXPECT_EQ(selection.scope, Selection::Scope::batch);
      EXPECT_EQ(selection.k, 2);
      return Codes::dense(at::where(z >= 0.3, z, 0));  // the 2 * 2 largest
    });
    EXPECT_TRUE(at::allclose(prepared.selection(true).thresholds, at::full({kCounted}, 0.3, at::kDouble)));
    // Where nothing fires on the sample, theta stays.
    prepared.activation->start([&](const Selection&) {
      return Codes::dense(at::zeros({2, 3}, at::kDouble));
    });
    EXPECT_TRUE(at::allclose(prepared.selection(true).thresholds, at::full({kCounted}, 0.3, at::kDouble)));
  }
}

}  // namespace
}  // namespace regulon
