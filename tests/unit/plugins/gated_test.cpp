#include <gtest/gtest.h>
#include <regulon/encoder.h>
#include <regulon/loss_term.h>

#include "tests/unit/support/gradients.h"
#include "tests/unit/support/prepared_encoder.h"

namespace regulon {
namespace {

using tests::ToyStep;

struct Prepared : tests::PreparedEncoder {
  explicit Prepared(const std::map<std::string, ParamValue>& settings = {}, bool perturbed = true)
      : PreparedEncoder("gated", settings) {
    if (!perturbed) return;
    weight().detach().copy_(tests::normal({7, 4}, 21));
    gate_bias().detach().copy_(tests::normal({7}, 22) * 0.3);
    magnitude_bias().detach().copy_(tests::normal({7}, 23) * 0.3);
    log_scale().detach().copy_(tests::normal({7}, 24) * 0.3);
  }
  at::Tensor weight() const { return parameter("weight"); }
  at::Tensor gate_bias() const { return parameter("gate_bias"); }
  at::Tensor magnitude_bias() const { return parameter("magnitude_bias"); }
  at::Tensor log_scale() const { return parameter("log_scale"); }
  /// (x - b) W^T + b_gate and exp(r) (x - b) W^T + b_mag, by plain matrix algebra with gradient.
  at::Tensor product() const { return at::matmul(toy.batch - toy.bias, weight().t()); }
  at::Tensor gate() const { return product() + gate_bias(); }
  at::Tensor magnitude() const { return at::relu(product() * log_scale().exp() + magnitude_bias()); }
};

at::Tensor channel(const Codes& codes, const std::string& name) {
  return codes.with_values(codes.channel(name)).to_dense();
}

TEST(Gated, GateChoosesAndMagnitudeIsTheCode) {
  const Prepared p;
  const Codes codes = p.encode();
  const at::Tensor open = (p.gate() > 0).to(at::kDouble);
  EXPECT_TRUE(at::allclose(codes.to_dense(), p.magnitude() * open));
  EXPECT_TRUE(at::allclose(channel(codes, "gate"), p.gate().clamp_min(0)));
  // Somewhere the gate is open and the magnitude is zero: listed, but not active.
  EXPECT_GT((open * (p.magnitude() == 0)).sum().item<double>(), 0);
}

TEST(Gated, RanksByTheGate) {
  const Prepared p;
  Selection best;
  best.family = Selection::Family::rank;
  best.k = 2;
  const Codes codes = p.encode(best);
  const at::Tensor gate = p.gate().detach();
  const at::Tensor second = std::get<0>(gate.topk(2, 1)).select(1, 1).unsqueeze(1);
  const at::Tensor chosen = (gate >= second).logical_and(gate > 0).to(at::kDouble);
  EXPECT_TRUE(at::allclose(codes.to_dense(), p.magnitude() * chosen));
  EXPECT_TRUE(at::allclose(channel(codes, "gate"), gate * chosen));
}

TEST(Gated, GradientsOfCodesAndGate) {
  const at::Tensor probe = tests::normal({ToyStep::kRows, ToyStep::kFeatures}, 31);
  const Prepared p;
  const auto of_codes = [&] { return (p.encode().to_dense() * probe).sum(); };
  tests::expect_gradient(of_codes, p.weight(), "weight");
  tests::expect_gradient(of_codes, p.magnitude_bias(), "magnitude bias");
  tests::expect_gradient(of_codes, p.log_scale(), "scale");
  tests::expect_gradient(of_codes, p.toy.bias, "dictionary bias");
  // The codes do not depend on the gate's bias but for the step, so not even by rounding.
  EXPECT_EQ(tests::autograd_gradient(of_codes, p.gate_bias()).abs().max().item<double>(), 0.0);
  const auto of_gate = [&] { return (channel(p.encode(), "gate") * probe).sum(); };
  tests::expect_gradient(of_gate, p.weight(), "weight by the gate");
  tests::expect_gradient(of_gate, p.gate_bias(), "gate bias by the gate");
}

/// Under a learnt theta codes jump by their magnitude at theta, and the gate's activation by theta.
TEST(Gated, ThetaLearnsByTheMagnitudesJump) {
  constexpr double kWindow = 1.5;
  const Prepared p;
  const at::Tensor theta = (tests::normal({ToyStep::kFeatures}, 41).abs() + 0.2).set_requires_grad(true);
  Selection jump;
  jump.thresholds = theta;
  jump.window = kWindow;
  const at::Tensor probe = tests::normal({ToyStep::kRows, ToyStep::kFeatures}, 31);
  const at::Tensor gate = p.gate().detach();
  const at::Tensor near = ((gate - theta.detach()).abs() <= kWindow / 2).to(at::kDouble);
  const at::Tensor edge = (theta.detach() - p.gate_bias().detach()) * p.log_scale().detach().exp();
  const at::Tensor height = at::relu(edge + p.magnitude_bias().detach());
  ASSERT_GT((near * (gate < theta.detach())).sum().item<double>(), 0) << "no near miss to test";

  const auto of_codes = [&] { return (p.encode(jump).to_dense() * probe).sum(); };
  const at::Tensor expected = -(probe * near).sum(0) * height / kWindow;
  EXPECT_TRUE(at::allclose(tests::autograd_gradient(of_codes, theta), expected));
  const auto of_gate = [&] { return (channel(p.encode(jump), "gate") * probe).sum(); };
  const at::Tensor expected_of_gate = -(probe * near).sum(0) * theta.detach() / kWindow;
  EXPECT_TRUE(at::allclose(tests::autograd_gradient(of_gate, theta), expected_of_gate));
  const auto of_open = [&] { return (channel(p.encode(jump), "open") * probe).sum(); };
  EXPECT_TRUE(at::allclose(tests::autograd_gradient(of_open, theta), -(probe * near).sum(0) / kWindow));
  const at::Tensor open = (gate > theta.detach()).to(at::kDouble);
  EXPECT_TRUE(at::allclose(p.encode(jump).to_dense(), p.magnitude() * open));
  tests::expect_gradient(of_codes, p.weight(), "weight under a theta");
}

/// The window's gradient, where it reaches pi, reaches both that pi is made of: rows of W and the gate's
/// bias.
TEST(Gated, AWindowThatReachesTheInputTeachesTheGatesBias) {
  constexpr double kWindow = 1.5;
  const Prepared p;
  const at::Tensor theta = (tests::normal({ToyStep::kFeatures}, 41).abs() + 0.2).set_requires_grad(true);
  Selection jump;
  jump.thresholds = theta;
  jump.window = kWindow;
  Selection reaching = jump;
  reaching.window_to_input = true;
  const at::Tensor probe = tests::normal({ToyStep::kRows, ToyStep::kFeatures}, 31);
  const at::Tensor gate = p.gate().detach();
  const at::Tensor near = ((gate - theta.detach()).abs() <= kWindow / 2).to(at::kDouble) / kWindow;
  const at::Tensor active = (gate > theta.detach()).to(at::kDouble);
  const at::Tensor edge = (theta.detach() - p.gate_bias().detach()) * p.log_scale().detach().exp();
  const at::Tensor height = at::relu(edge + p.magnitude_bias().detach());
  const at::Tensor rows = (p.toy.batch - p.toy.bias).detach();

  const auto expect_window = [&](const std::string& what, const at::Tensor& through,
                                 const at::Tensor& smooth_part) {
    const auto value = [&](const Selection& selection) {
      const Codes codes = p.encode(selection);
      return ((what == "codes" ? codes.to_dense() : channel(codes, what)) * probe).sum();
    };
    const auto plain = [&] { return value(jump); };
    const auto whole = [&] { return value(reaching); };
    EXPECT_TRUE(at::equal(plain(), whole())) << what;
    const auto of = [](const auto& f, const at::Tensor& x) { return tests::autograd_gradient(f, x); };
    EXPECT_TRUE(at::allclose(of(whole, p.gate_bias()), (through + smooth_part).sum(0))) << what;
    EXPECT_TRUE(at::allclose(of(plain, p.gate_bias()), smooth_part.sum(0))) << what;
    EXPECT_TRUE(at::allclose(of(whole, p.weight()) - of(plain, p.weight()), at::matmul(through.t(), rows)))
        << what;
    EXPECT_TRUE(at::equal(of(whole, theta), of(plain, theta))) << what;
  };
  expect_window("codes", probe * near * height, at::zeros_like(probe));
  expect_window("gate", probe * near * theta.detach(), probe * active);
  expect_window("open", probe * near, at::zeros_like(probe));
}

TEST(Gated, StartsAsALinearEncoderOrFromData) {
  const Prepared plain({}, false);
  EXPECT_TRUE(at::equal(plain.weight().detach(), plain.toy.weight.detach()));
  EXPECT_TRUE(at::allclose(plain.encode().to_dense(), plain.product().clamp_min(0)));
  const Prepared from_data({{"initial_l0", 2.0}}, false);  // 2 of 7 features: each in 20 of 70 rows
  const at::Tensor rows = from_data.preparation.sample - from_data.toy.bias;
  const at::Tensor gate = at::matmul(rows, from_data.weight().t()) + from_data.gate_bias();
  EXPECT_TRUE(at::equal((gate > 0).sum(0), at::full({7}, 20, at::kLong)));
}

TEST(Gated, SaysWhatItProvides) {
  const Prepared p;
  EXPECT_EQ(p.encoder->provides(),
            (std::vector<std::string>{"encoder.directions", "encoder.untied", "encoder.gated_product",
                                      "codes.gradient", "codes.gate"}));
  EXPECT_TRUE(p.encoder->directions(Dictionary(p.toy.weight, p.toy.bias)).is_same(p.weight()));
}

/// A step whose codes carry a gate with a gradient of its own.
struct GatedStep {
  StepView view() const {
    const Codes codes = Codes::sparse(ToyStep::kFeatures, toy.row_offsets, toy.feature_ids, toy.values)
                            .with_channel("gate", gate);
    return StepView(StepInputs{0,
                               11,
                               toy.batch,
                               codes,
                               Dictionary(toy.weight, toy.bias, 0, toy.unit_norm),
                               toy.costs,
                               FeatureStats{},
                               at::Tensor(),
                               {},
                               nullptr});
  }
  /// The gate's activations as a matrix, made without the SDK.
  at::Tensor dense() const {
    ToyStep with_gate = toy;
    with_gate.values = gate;
    return with_gate.dense();
  }
  ToyStep toy;
  at::Tensor gate = (tests::normal({9}, 14).abs() + 0.1).requires_grad_(true);
};

TEST(GatedAuxiliary, ReconstructsByTheGateWithAConstantDictionary) {
  const GatedStep step;
  for (const bool freeze : {true, false}) {
    const auto term = tests::make_plugin<LossTerm>("gated_auxiliary", {{"freeze_dictionary", freeze}});
    EXPECT_EQ(term->needs(), std::vector<std::string>{"codes.gate"});
    const auto value = [&] { return term->value(step.view()); };
    const at::Tensor rebuilt = at::matmul(step.dense(), step.toy.weight.detach()) + step.toy.bias.detach();
    EXPECT_NEAR(value().item<double>(), (step.toy.batch - rebuilt).square().sum(1).mean().item<double>(),
                1e-9);
    tests::expect_gradient(value, step.gate, "gate");
    EXPECT_EQ(tests::autograd_gradient(value, step.toy.values).abs().max().item<double>(), 0.0);
    if (freeze) {
      EXPECT_EQ(tests::autograd_gradient(value, step.toy.weight).abs().max().item<double>(), 0.0);
      EXPECT_EQ(tests::autograd_gradient(value, step.toy.bias).abs().max().item<double>(), 0.0);
    } else {
      tests::expect_gradient(value, step.toy.weight, "dictionary");
      tests::expect_gradient(value, step.toy.bias, "dictionary bias");
    }
  }
}

TEST(GateL1, PricesTheGate) {
  GatedStep step;
  const auto term = tests::make_plugin<LossTerm>("gate_l1");
  EXPECT_EQ(term->needs(), (std::vector<std::string>{"codes.gate", "costs"}));
  for (const bool unit_norm : {true, false}) {
    step.toy.unit_norm = unit_norm;
    const auto value = [&] { return term->value(step.view()); };
    const at::Tensor norms = unit_norm ? at::ones({7}, at::kDouble) : step.toy.weight.detach().norm(2, {1});
    const at::Tensor expected = (step.dense() * step.toy.costs * norms).sum() / 5;
    EXPECT_NEAR(value().item<double>(), expected.item<double>(), 1e-9);
    tests::expect_gradient(value, step.gate, "gate");
    if (!unit_norm) tests::expect_gradient(value, step.toy.weight, "dictionary");
  }
}

}  // namespace
}  // namespace regulon
