#include <gtest/gtest.h>
#include <regulon/encoder.h>
#include <regulon/ops.h>
#include <regulon/solvers.h>

#include "tests/unit/support/expect_error.h"
#include "tests/unit/support/gradients.h"
#include "tests/unit/support/prepared_encoder.h"

namespace regulon::sparse_coding_test {
namespace {

using tests::ToyStep;

struct Prepared : tests::PreparedEncoder {
  explicit Prepared(const std::map<std::string, ParamValue>& settings)
      : PreparedEncoder("sparse_coding", settings) {}
};

Selection largest(std::int64_t k) {
  Selection selection;
  selection.family = Selection::Family::rank;
  selection.k = k;
  return selection;
}

TEST(SparseCoding, CodesMeetTheLassosConditions) {
  Prepared p({{"lambda", 0.3}, {"tolerance", 1e-12}});
  const at::Tensor codes = p.encode().to_dense();
  const at::Tensor rows = p.toy.batch - p.toy.bias.detach();
  const at::Tensor weight = p.toy.weight.detach();
  const at::Tensor correlations = at::matmul(rows - at::matmul(codes, weight), weight.t());
  const at::Tensor slack = correlations - 0.3 * p.toy.costs;
  EXPECT_LT(slack.max().item<double>(), 1e-5);
  EXPECT_LT(slack.masked_select(codes > 0).abs().max().item<double>(), 1e-5);
  EXPECT_GT((codes > 0).sum().item<std::int64_t>(), 4);
}

TEST(SparseCoding, OnlyTheDictionaryGetsAGradient) {
  Prepared p({{"lambda", 0.3}, {"tolerance", 1e-13}});
  EXPECT_TRUE(p.preparation.parameters().empty());
  EXPECT_FALSE(p.encode().values().requires_grad());
  // At optimal codes the objective's gradient has no part through the codes, so finite differences that solve
  // anew agree with a gradient that takes codes as constants.
  const auto objective = [&] {
    const Codes codes = p.encode();
    const at::Tensor rebuilt = ops::decode(codes, Dictionary(p.toy.weight, p.toy.bias, 0, false));
    return (p.toy.batch - rebuilt).square().sum() / 2 + 0.3 * (codes.to_dense() * p.toy.costs).sum();
  };
  tests::expect_gradient(objective, p.toy.weight, "dictionary", 1e-5);
  tests::expect_gradient(objective, p.toy.bias, "dictionary bias", 1e-5);
}

TEST(SparseCoding, PursuitsTakeTheSelectionsK) {
  for (const char* solver : {"omp", "matching_pursuit", "gradient_pursuit"}) {
    Prepared p({{"solver", std::string(solver)}, {"lambda", 0.0}});
    solvers::Settings settings;
    settings.solver = solver;
    settings.k = 2;
    const solvers::Problem problem{p.toy.batch, p.toy.weight.detach(), p.toy.bias.detach(), {}};
    EXPECT_TRUE(
        at::equal(p.encode(largest(2)).to_dense(), solvers::solve(problem, settings).codes.to_dense()));
    EXPECT_NO_THROW(p.encode(largest(100)));
  }
}

TEST(SparseCoding, RefusesWhatItCannotSolve) {
  tests::expect_error<InputError>([] { Prepared p({{"lambda", 0.0}}); }, {"cd needs a price"});
  Prepared pursuit({{"solver", std::string("omp")}, {"lambda", 0.0}});
  tests::expect_error<InputError>([&] { pursuit.encode(); }, {"nothing to end it"});
}

TEST(SparseCoding, SaysWhatItNeeds) {
  EXPECT_EQ(tests::make_plugin<Encoder>("sparse_coding")->needs(), std::vector<std::string>{"costs"});
  EXPECT_TRUE(tests::make_plugin<Encoder>("sparse_coding", {{"lambda", 0.0}})->needs().empty());
  EXPECT_TRUE(tests::make_plugin<Encoder>("sparse_coding")->provides().empty());
}

/// A product whose pre-activations are the given numbers, one row each: what select_product makes of them is
/// what select should.
ops::Product product_of(const at::Tensor& z) { return {z, at::eye(z.size(1), z.options()), {}, {}}; }

TEST(SelectCodes, AgreesWithSelectProduct) {
  const at::Tensor z = tests::normal({6, 9}, 3);
  const Codes codes = Codes::dense(at::relu(z));
  std::vector<Selection> selections(6);
  selections[1].thresholds = at::full({1}, 0.4, at::kDouble);
  selections[2] = largest(2);
  selections[3] = largest(2);
  selections[3].scope = Selection::Scope::batch;
  selections[4] = largest(3);
  selections[4].score_shift = at::linspace(0, 0.5, 9, at::kDouble);
  selections[4].prices = at::linspace(0.5, 1.5, 9, at::kDouble);
  selections[5] = largest(2);
  selections[5].only = at::tensor({1, 2, 7}, at::kLong);
  for (std::size_t i = 0; i < selections.size(); ++i) {
    const at::Tensor expected = ops::select_product(product_of(z), selections[i]).to_dense();
    EXPECT_TRUE(at::allclose(solvers::select(codes, selections[i]).to_dense(), expected)) << i;
    EXPECT_GT(expected.count_nonzero().item<std::int64_t>(), 3) << i;
  }
}

TEST(SelectCodes, ThresholdsGetTheirStraightThroughGradient) {
  const at::Tensor z = tests::normal({6, 9}, 3);
  const at::Tensor probe = tests::normal({6, 9}, 4);
  Selection jump;
  jump.thresholds = at::full({9}, 0.5, at::kDouble).requires_grad_(true);
  jump.window = 0.8;
  jump.kernel = Selection::Kernel::quartic;
  jump.score_scale = at::linspace(0.5, 1.5, 9, at::kDouble);
  const auto of_values = [&](const Codes& codes) { return (codes.to_dense() * probe).sum(); };
  const auto of_open = [&](const Codes& codes) {
    return (codes.with_values(codes.channel("open")).to_dense() * probe).sum();
  };
  const Codes positive = Codes::dense(at::relu(z));
  for (const bool open : {false, true}) {
    const auto ours = [&] {
      const Codes codes = solvers::select(positive, jump);
      return open ? of_open(codes) : of_values(codes);
    };
    const auto theirs = [&] {
      const Codes codes = ops::select_product(product_of(z), jump);
      return open ? of_open(codes) : of_values(codes);
    };
    EXPECT_NEAR(ours().item<double>(), theirs().item<double>(), 1e-12);
    const at::Tensor gradient = tests::autograd_gradient(ours, jump.thresholds);
    EXPECT_TRUE(at::allclose(gradient, tests::autograd_gradient(theirs, jump.thresholds))) << open;
    EXPECT_GT(gradient.abs().max().item<double>(), 0.0);
  }
}

}  // namespace
}  // namespace regulon::sparse_coding_test
