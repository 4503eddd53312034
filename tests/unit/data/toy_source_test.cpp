#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <regulon/error.h>

#include "core/data/toy_general.h"
#include "tests/unit/data/make_source.h"
#include "tests/unit/support/expect_error.h"

namespace regulon::core {
namespace {

using namespace regulon::tests;

constexpr std::int64_t kRows = 40'000;

/// Magnitudes [rows, n_true] of a source whose true features are orthonormal: what the rows are made of.
at::Tensor magnitudes(Source& source) { return at::matmul(source.batch(0), source.true_features().t()); }

/// Which features are active in which rows: [rows, n_true] of 0 and 1, in double.
at::Tensor active(Source& source) { return magnitudes(source).gt(1e-4).to(at::kDouble); }

double share(const at::Tensor& rows) { return rows.to(at::kDouble).mean().item<double>(); }

/// Expects `found` within 5 standard deviations of the share `expected` among `rows`.
void expect_share(double found, double expected, std::int64_t rows, const std::string& what) {
  const double deviation = std::sqrt(expected * (1 - expected) / static_cast<double>(rows));
  EXPECT_NEAR(found, expected, 5 * deviation + 1e-12) << what;
}

const std::vector<std::pair<std::string, Parameters>>& toys() {
  static const std::vector<std::pair<std::string, Parameters>> all = {
      {"toy.three", {}},
      {"toy.pairs", {}},
      {"toy.general", {{"correlation", std::string("copula")}, {"roots", std::int64_t{2}}}},
      {"toy.general",
       {{"correlation", std::string("pairs")}, {"magnitude", std::string("rectified_normal")}}}};
  return all;
}

TEST(Toy, ABatchIsAFunctionOfSeedAndStep) {
  for (const auto& [name, parameters] : toys()) {
    const auto forwards = open_source(name, parameters, 100);
    const auto backwards = open_source(name, parameters, 100);
    const at::Tensor last = backwards->batch(7);
    backwards->held_out(3, 50);
    const at::Tensor first = backwards->batch(0);
    EXPECT_TRUE(forwards->batch(0).equal(first)) << name;
    EXPECT_FALSE(forwards->batch(1).equal(first)) << name;
    EXPECT_TRUE(forwards->batch(7).equal(last)) << name;
    EXPECT_EQ(first.sizes(), at::IntArrayRef({100, forwards->width()}));
    EXPECT_FALSE(open_source(name, parameters, 100, 2)->batch(0).equal(first)) << name;
  }
}

TEST(Toy, KnowsWhatItsRowsAreMadeOf) {
  for (const auto& [name, parameters] : toys()) {
    const auto source = open_source(name, parameters, 100);
    const std::optional<Codes> truth = source->held_out_truth(7, 60);
    ASSERT_TRUE(truth.has_value()) << name;
    EXPECT_EQ(truth->rows(), 60);
    const at::Tensor made = at::matmul(truth->to_dense(), source->true_features());
    EXPECT_TRUE(at::allclose(made, source->held_out(7, 60), 1e-5, 1e-6)) << name;
    EXPECT_GT(truth->entries(), 0) << name;
  }
}

TEST(Toy, RowsDoNotDependOnBatchesAndChunks) {
  for (const auto& [name, parameters] : toys()) {
    const auto large = open_source(name, parameters, 5000);
    const auto small = open_source(name, parameters, 50);
    EXPECT_TRUE(large->batch(1).narrow(0, 100, 50).equal(small->batch(102))) << name;
    const at::Tensor whole = small->held_out(0, 300);
    EXPECT_TRUE(whole.narrow(0, 120, 60).equal(small->held_out(120, 60))) << name;
    EXPECT_FALSE(whole.narrow(0, 0, 50).equal(small->batch(0))) << name << ": held-out rows are other rows";
  }
}

TEST(Toy, FingerprintsTellSeedsAndParametersApart) {
  for (const auto& [name, parameters] : toys()) {
    const std::string fingerprint = open_source(name, parameters, 100)->fingerprint();
    EXPECT_EQ(open_source(name, parameters, 50)->fingerprint(), fingerprint) << name;
    EXPECT_NE(open_source(name, parameters, 100, 2)->fingerprint(), fingerprint) << name;
    Parameters wider = parameters;
    wider.emplace_back("width", std::int64_t{77});
    EXPECT_NE(open_source(name, wider, 100)->fingerprint(), fingerprint) << name;
  }
}

TEST(Toy, TrueFeaturesLieAsAskedFor) {
  const auto features = [](const std::string& directions, std::uint64_t seed) {
    return open_source("toy.pairs", {{"directions", directions}}, 10, seed)->true_features();
  };
  const at::Tensor orthonormal = features("orthonormal", 1);
  EXPECT_EQ(orthonormal.sizes(), at::IntArrayRef({8, 16}));
  EXPECT_LT((at::matmul(orthonormal, orthonormal.t()) - at::eye(8)).abs().max().item<double>(), 1e-6);
  EXPECT_FALSE(features("orthonormal", 2).equal(orthonormal));
  EXPECT_TRUE(features("axes", 1).equal(at::eye(8, 16)));
  const at::Tensor random = features("random", 1);
  EXPECT_LT((random.norm(2, {1}) - 1).abs().max().item<double>(), 1e-6);
  EXPECT_GT((at::matmul(random, random.t()) - at::eye(8)).abs().max().item<double>(), 0.1);
}

TEST(Toy, RandomDirectionsPointEverywhereAlike) {
  // A coordinate of a random unit vector in d dimensions has mean 0 and variance 1/d.
  const at::Tensor features =
      open_source("toy.general", {{"features", std::int64_t{4000}}, {"width", std::int64_t{10}}}, 1)
          ->true_features();
  EXPECT_LT(features.mean(0).abs().max().item<double>(), 5 * std::sqrt(0.1 / 4000));
  const at::Tensor covariance = at::matmul(features.t(), features) / 4000;
  EXPECT_LT((covariance - at::eye(10) / 10).abs().max().item<double>(), 0.02);
}

TEST(ToyThree, HasItsProbabilitiesAndItsRatio) {
  const auto source =
      open_source("toy.three",
                  {{"together", 0.3}, {"alone", 0.2}, {"rare", 0.1}, {"ratio", 0.5}, {"spread", 0.2}}, kRows);
  const at::Tensor values = magnitudes(*source);
  const at::Tensor on = values.gt(1e-4);
  const at::Tensor first = on.select(1, 0);
  const at::Tensor second = on.select(1, 1);
  const at::Tensor third = on.select(1, 2);
  expect_share(share(first & second), 0.3, kRows, "together");
  expect_share(share(first & ~second), 0.2, kRows, "0 alone");
  expect_share(share(second & ~first), 0.2, kRows, "1 alone");
  expect_share(share(third), 0.1, kRows, "rare");
  expect_share(share(third & first & second), 0.03, kRows, "the rare one is independent");
  const at::Tensor pair = values.index({first & second});
  const at::Tensor ratio = pair.select(1, 1) / pair.select(1, 0);
  EXPECT_NEAR(ratio.mean().item<double>(), 0.5, 0.005);
  EXPECT_GT(ratio.min().item<double>(), 0.399);
  EXPECT_LT(ratio.max().item<double>(), 0.601);
  const at::Tensor alone = values.select(1, 0).index({first});
  EXPECT_GT(alone.min().item<double>(), 0.4999);
  EXPECT_LT(alone.max().item<double>(), 1.0001);
}

TEST(ToyPairs, HasItsJointTable) {
  for (const double correlation : {0.0, 0.8, 1.0}) {
    const auto source = open_source("toy.pairs", {{"correlation", correlation}}, kRows);
    const at::Tensor on = active(*source);
    const at::Tensor x = on.narrow(1, 0, 4);
    const at::Tensor y = on.narrow(1, 4, 4);
    // Magnitudes from [0, 1) below the threshold of `active` are missed once in 10,000.
    EXPECT_GT(share(x.sum(1) == 1), 0.999);
    EXPECT_GT(share(y.sum(1) == 1), 0.999);
    const at::Tensor joint = at::matmul(x.t(), y) / kRows;
    // By the definition: start from 1/16 everywhere, move `correlation` of what row i has beside (i, i).
    const double equal = 1.0 / 16 + correlation * 3.0 / 16;
    const double other = (0.25 - equal) / 3;
    for (std::int64_t i = 0; i < 4; ++i) {
      for (std::int64_t j = 0; j < 4; ++j) {
        const double expected = i == j ? equal : other;
        EXPECT_NEAR(joint[i][j].item<double>(), expected, 5 * std::sqrt(expected / kRows) + 1e-3 * expected)
            << i << j;
      }
    }
  }
}

TEST(ToyPairs, MagnitudesAreUniform) {
  const auto source = open_source("toy.pairs", {}, kRows);
  const at::Tensor sums = magnitudes(*source).sum(1).to(at::kDouble);  // of two uniform numbers
  EXPECT_NEAR(sums.mean().item<double>(), 1.0, 0.01);
  EXPECT_NEAR(sums.var().item<double>(), 1.0 / 6, 0.005);
}

Parameters general(std::int64_t features, Parameters more) {
  more.emplace_back("features", features);
  more.emplace_back("width", features);
  more.emplace_back("directions", std::string("axes"));
  more.emplace_back("low", 0.5);
  return more;
}

TEST(ToyGeneral, KeepsStatedProbabilities) {
  const std::vector<Parameters> kinds = {
      {{"p", 0.2}},
      {{"probability", std::string("zipf")}, {"p_max", 0.4}, {"zipf_exponent", 1.0}, {"p_min", 0.05}},
      {{"probability", std::string("list")},
       {"p_list", std::vector<double>{0, 1, 0.5, 0.1, 0.02, 0.3, 0.9, 0.25, 0.01, 0.6}}}};
  const std::vector<std::vector<double>> expected = {
      std::vector<double>(10, 0.2),
      {0.4, 0.2, 0.4 / 3, 0.1, 0.08, 0.4 / 6, 0.4 / 7, 0.05, 0.05, 0.05},
      {0, 1, 0.5, 0.1, 0.02, 0.3, 0.9, 0.25, 0.01, 0.6}};
  for (std::size_t kind = 0; kind < kinds.size(); ++kind) {
    for (const std::string correlation : {"none", "copula", "pairs"}) {
      Parameters parameters = general(10, kinds[kind]);
      parameters.emplace_back("correlation", correlation);
      parameters.emplace_back("correlation_rank", std::int64_t{3});
      const at::Tensor shares = active(*open_source("toy.general", parameters, kRows)).mean(0);
      for (std::int64_t i = 0; i < 10; ++i) {
        expect_share(shares[i].item<double>(), expected[kind][static_cast<std::size_t>(i)], kRows,
                     correlation + " " + std::to_string(kind) + " feature " + std::to_string(i));
      }
    }
  }
}

/// Correlation coefficients [n, n] of the activity.
at::Tensor correlations(const at::Tensor& on) { return at::corrcoef(on.t()); }

TEST(ToyGeneral, WithoutCorrelationFeaturesAreIndependent) {
  const at::Tensor found = correlations(active(*open_source("toy.general", general(8, {{"p", 0.3}}), kRows)));
  EXPECT_LT((found - at::eye(8)).abs().max().item<double>(), 5 / std::sqrt(static_cast<double>(kRows)));
}

TEST(ToyGeneral, PairsAreTogetherAsOftenAsStated) {
  const auto source = open_source("toy.general",
                                  general(5, {{"probability", std::string("list")},
                                              {"p_list", std::vector<double>{0.2, 0.4, 0.3, 0.3, 0.5}},
                                              {"correlation", std::string("pairs")},
                                              {"correlation_strength", 0.5}}),
                                  kRows);
  const at::Tensor on = active(*source);
  const at::Tensor joint = at::matmul(on.t(), on) / kRows;
  expect_share(joint[0][1].item<double>(), 0.08 + 0.5 * (0.2 - 0.08), kRows, "0 and 1");
  expect_share(joint[2][3].item<double>(), 0.09 + 0.5 * (0.3 - 0.09), kRows, "2 and 3");
  expect_share(joint[1][2].item<double>(), 0.4 * 0.3, kRows, "1 and 2 are independent");
  expect_share(joint[3][4].item<double>(), 0.3 * 0.5, kRows, "the last one has no partner");
}

TEST(ToyGeneral, TheCopulaOfOneFactorCorrelatesByItsStrength) {
  // With one factor every latent correlation is +strength or -strength. At p = 1/2 the activity's correlation
  // is 2/pi * asin(latent) (Sheppard 1899).
  const at::Tensor found =
      correlations(active(*open_source("toy.general",
                                       general(6, {{"p", 0.5},
                                                   {"correlation", std::string("copula")},
                                                   {"correlation_rank", std::int64_t{1}},
                                                   {"correlation_strength", 0.6}}),
                                       kRows)));
  const double expected = 2 / M_PI * std::asin(0.6);
  const at::Tensor others = found.abs().index({at::eye(6).eq(0)});
  EXPECT_LT((others - expected).abs().max().item<double>(), 0.03);
}

TEST(ToyGeneral, ChildrenImplyTheirParentsAndSiblingsExcludeEachOther) {
  // Two roots, two children each, three levels: 2 + 4 + 8 features, then two free ones.
  const auto source = open_source("toy.general",
                                  general(16, {{"p", 0.2},
                                               {"roots", std::int64_t{2}},
                                               {"children", std::int64_t{2}},
                                               {"levels", std::int64_t{3}}}),
                                  kRows);
  const at::Tensor on = active(*source).gt(0.5);
  const std::vector<std::pair<int, int>> first_children = {{0, 2}, {1, 4}, {2, 6}, {3, 8}, {4, 10}, {5, 12}};
  for (const auto& [parent, child] : first_children) {
    const at::Tensor left = on.select(1, child);
    const at::Tensor right = on.select(1, child + 1);
    EXPECT_FALSE((left & right).any().item<bool>()) << parent;
    EXPECT_FALSE(((left | right) & ~on.select(1, parent)).any().item<bool>()) << parent;
  }
  // Two children that want 0.2 each share their parent's 0.2, then 0.1.
  const at::Tensor shares = on.to(at::kDouble).mean(0);
  const std::vector<double> expected = {.2,  .2,  .1,  .1,  .1,  .1,  .05, .05,
                                        .05, .05, .05, .05, .05, .05, .2,  .2};
  const auto& stated = static_cast<const ToyGeneral&>(*source).probabilities();
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_DOUBLE_EQ(stated[i], expected[i]);
    expect_share(shares[static_cast<std::int64_t>(i)].item<double>(), expected[i], kRows, std::to_string(i));
  }
}

TEST(ToyGeneral, SiblingsThatAreNotExclusiveAreIndependentGivenTheirParent) {
  const auto source = open_source("toy.general",
                                  general(3, {{"probability", std::string("list")},
                                              {"p_list", std::vector<double>{0.5, 0.2, 0.9}},
                                              {"roots", std::int64_t{1}},
                                              {"children", std::int64_t{2}},
                                              {"levels", std::int64_t{2}},
                                              {"exclusive", false}}),
                                  kRows);
  const at::Tensor on = active(*source);
  const at::Tensor joint = at::matmul(on.t(), on) / kRows;
  expect_share(joint[1][1].item<double>(), 0.2, kRows, "a child keeps its share");
  expect_share(joint[2][2].item<double>(), 0.5, kRows, "a child has at most its parent's share");
  expect_share(joint[1][2].item<double>(), 0.2, kRows, "both");
}

TEST(ToyGeneral, MagnitudesHaveTheirDistribution) {
  const auto values = [](Parameters parameters) {
    parameters.emplace_back("p", 1.0);
    parameters.emplace_back("directions", std::string("axes"));
    parameters.emplace_back("features", std::int64_t{1});
    parameters.emplace_back("width", std::int64_t{1});
    return open_source("toy.general", parameters, kRows)->batch(0).to(at::kDouble);
  };
  const at::Tensor normal =
      values({{"magnitude", std::string("rectified_normal")}, {"mean", 2.0}, {"deviation", 0.5}});
  EXPECT_NEAR(normal.mean().item<double>(), 2.0, 0.015);
  EXPECT_NEAR(normal.std().item<double>(), 0.5, 0.01);
  const at::Tensor rectified =
      values({{"magnitude", std::string("rectified_normal")}, {"mean", 0.0}, {"deviation", 1.0}});
  EXPECT_EQ(rectified.min().item<double>(), 0.0);
  EXPECT_NEAR(share(rectified.eq(0)), 0.5, 0.015);
  EXPECT_NEAR(rectified.mean().item<double>(), 1 / std::sqrt(2 * M_PI), 0.015);
  const at::Tensor uniform = values({{"low", 1.0}, {"high", 3.0}});
  EXPECT_NEAR(uniform.mean().item<double>(), 2.0, 0.02);
  EXPECT_GE(uniform.min().item<double>(), 1.0);
  EXPECT_LE(uniform.max().item<double>(), 3.0);
}

TEST(Toy, ParametersThatContradictEachOtherAreRefused) {
  const auto refuses = [](const std::string& name, const Parameters& parameters,
                          const std::vector<std::string>& parts) {
    expect_error<InputError>([&] { open_source(name, parameters, 10); }, parts);
  };
  const auto integer = [](std::int64_t value) { return ParamValue(value); };
  refuses("toy.pairs", {{"width", integer(7)}}, {"do not fit", "width >= 8", "width = 7", "random"});
  refuses("toy.pairs", {{"low", 2.0}}, {"low is above high", "low = 2, high = 1"});
  refuses("toy.three", {{"low", 2.0}}, {"low is above high"});
  refuses("toy.three", {{"together", 0.8}, {"alone", 0.2}},
          {"add up to more than one", "together + 2 * alone <= 1"});
  refuses("toy.three", {{"width", integer(2)}}, {"do not fit", "width >= 3"});
  refuses("toy.general", {{"low", 2.0}}, {"low is above high"});
  refuses("toy.general", {{"probability", std::string("list")}}, {"p_list", "64 numbers", "found 0"});
  refuses("toy.general", {{"probability", std::string("zipf")}, {"p_min", 0.9}}, {"p_min is above p_max"});
  refuses("toy.general", {{"roots", integer(4)}},
          {"hierarchy is larger", "at most 64", "4 roots, 4 children each, 3 levels"});
}

TEST(Sources, EveryParameterIsDocumented) {
  EXPECT_EQ(sources().size(), 4u);
  for (const PluginDescriptor& descriptor : sources()) {
    EXPECT_EQ(descriptor.interface_id, "source/1");
    EXPECT_FALSE(descriptor.summary.empty());
    for (const ParamSpec& spec : descriptor.params)
      EXPECT_FALSE(spec.doc.empty()) << descriptor.name << " " << spec.name;
  }
}

}  // namespace
}  // namespace regulon::core
