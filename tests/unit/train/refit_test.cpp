#include "core/train/refit.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/support/expect_error.h"
#include "tests/unit/support/program.h"
#include "tests/unit/support/toy_step.h"

namespace regulon::core {
namespace {

using tests::normal;

/// Three batches of codes over 12 features, of which the last two are in none,
/// and targets.
struct RefitToy {
  RefitToy() {
    for (std::uint64_t batch = 0; batch < 3; ++batch) {
      at::Tensor dense = at::relu(normal({40, 12}, 10 + batch));
      dense.narrow(1, 10, 2).zero_();
      codes.push_back(Codes::dense(dense));
      targets.push_back(normal({40, 5}, 20 + batch));
    }
    whole = at::cat({codes[0].to_dense(), codes[1].to_dense(), codes[2].to_dense()});
    target = at::cat(targets);
  }
  std::function<at::Tensor(std::size_t)> stream() const {
    return [this](std::size_t i) { return targets.at(i); };
  }
  std::vector<Codes> codes;
  std::vector<at::Tensor> targets;
  at::Tensor whole;   ///< [120, 12]
  at::Tensor target;  ///< [120, 5]
  at::Tensor weight = normal({12, 5}, 30);
};

RefitSettings exact(double ridge) {
  RefitSettings settings;
  settings.ridge = ridge;
  settings.tolerance = 1e-12;
  return settings;
}

TEST(Refit, IsTheRidgeRegressionsOptimum) {
  const RefitToy toy;
  for (const double ridge : {1e-9, 0.3}) {
    const Fit fit = refit(toy.codes, toy.stream(), toy.weight, exact(ridge));
    const at::Tensor used = toy.whole.narrow(1, 0, 10);
    const at::Tensor gram = at::matmul(used.t(), used);
    const at::Tensor pull = ridge * gram.diagonal().mean() * at::eye(10, at::kDouble);
    const at::Tensor start = toy.weight.narrow(0, 0, 10);
    const at::Tensor expected =
        at::linalg_solve(gram + pull, at::matmul(used.t(), toy.target) + at::matmul(pull, start));
    EXPECT_TRUE(at::allclose(fit.weight.narrow(0, 0, 10), expected, 1e-7)) << ridge;
    // What no code uses stays as it is.
    EXPECT_TRUE(at::equal(fit.weight.narrow(0, 10, 2), toy.weight.narrow(0, 10, 2)));
    EXPECT_LE(fit.gradient, 1e-12);
  }
}

TEST(Refit, ScalesAreTheBestFactors) {
  const RefitToy toy;
  RefitSettings settings = exact(1e-12);
  settings.scale_only = true;
  const Fit fit = refit(toy.codes, toy.stream(), toy.weight, settings);
  const at::Tensor factors = (fit.weight / toy.weight).narrow(0, 0, 10);
  EXPECT_TRUE(at::allclose(factors, factors.narrow(1, 0, 1).expand({10, 5})));
  // One column of the regression per feature: what it alone adds to the
  // flattened targets.
  const at::Tensor columns =
      (toy.whole.narrow(1, 0, 10).t().unsqueeze(2) * toy.weight.narrow(0, 0, 10).unsqueeze(1))
          .reshape({10, -1});
  const at::Tensor expected =
      at::linalg_solve(at::matmul(columns, columns.t()), at::mv(columns, toy.target.reshape({-1})));
  EXPECT_TRUE(at::allclose(factors.select(1, 0), expected, 1e-6));
}

TEST(Refit, LowersTheErrorOfATrainedRunAndRefusesTiedOnes) {
  const tests::ScratchFolder scratch;
  const auto config = [&](const std::string& more) {
    tests::write_file(scratch / "small.toml",
                      "[run]\nsteps = 300\n[data]\nsource = \"toy.pairs\"\nbatch = "
                      "128\n[model]\nfeatures = 16\n"
                      "[optimiser]\nlearning_rate = 3e-3\n[encoder]\nplugin = \"linear\"\n" +
                          more +
                          "[[loss]]\nplugin = \"mse\"\n[[loss]]\nplugin = \"l1\"\nweight = "
                          "0.3\n");
    return (scratch / "small.toml").string();
  };
  const std::string run = (scratch / "run").string();
  ASSERT_EQ(tests::run_program({"train", config(""), "--out", run}).exit_code, 0);
  for (const bool scale : {false, true}) {
    const std::string out = (scratch / (scale ? "scaled" : "refitted")).string();
    std::vector<std::string> arguments{"refit", run, "--out", out, "--json", "--rows", "4096"};
    if (scale) arguments.emplace_back("--scale");
    const tests::Ended ended = tests::run_program(arguments);
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
    const auto report = nlohmann::json::parse(ended.out);
    // L1 shrinks: the norm of the reconstruction comes back, and the error
    // falls.
    EXPECT_LT(report.at("after").at("fvu"), report.at("before").at("fvu"));
    EXPECT_GT(report.at("after").at("relative_bias"), report.at("before").at("relative_bias"));
    EXPECT_EQ(report.at("after").at("l0"), report.at("before").at("l0"));
    const tests::Ended measured = tests::run_program({"eval", out, "--json"});
    ASSERT_EQ(measured.exit_code, 0) << measured.err;
    EXPECT_EQ(nlohmann::json::parse(measured.out).at("fvu"), report.at("after").at("fvu"));
  }
  EXPECT_EQ(tests::run_program({"refit", run, "--out", run}).exit_code, 2);
  const std::string tied = (scratch / "tied").string();
  ASSERT_EQ(tests::run_program({"train", config("tied = true\n"), "--out", tied}).exit_code, 0);
  const tests::Ended refused = tests::run_program({"refit", tied, "--out", (scratch / "no").string()});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find("cannot be refitted"), std::string::npos) << refused.err;
}

}  // namespace
}  // namespace regulon::core
