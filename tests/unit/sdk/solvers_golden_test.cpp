/// The solvers against scikit-learn's (tests/golden/solvers.py).
#include <gtest/gtest.h>

#include <filesystem>

#include "core/io/safetensors.h"
#include "tests/unit/sdk/solvers_support.h"

namespace regulon::solvers_golden_test {
namespace {

using tests::Found;

class SolversGolden : public ::testing::Test {
 protected:
  at::Tensor fixture(const std::string& name) const { return file_.tensor(name).clone(); }
  solvers::Problem problem(at::ScalarType dtype) const {
    solvers::Problem problem;
    problem.rows = fixture("rows").to(dtype);
    problem.dictionary = fixture("dictionary").to(dtype);
    return problem;
  }
  double lambda() const { return fixture("lambda").item<double>(); }

  /// Expects an objective not above that of the fixture by more than 1e-6 of it, recomputed in double.
  void expect_as_good(const solvers::Problem& problem, const solvers::Settings& settings,
                      const std::string& name) const {
    SCOPED_TRACE(settings.solver + " " + name);
    const solvers::Solution solution = solvers::solve(problem, settings);
    const Found found(problem, settings, solution.codes);
    const at::Tensor theirs = fixture(name + ".objective");
    EXPECT_TRUE(at::all(found.objective <= theirs * (1 + 1e-6) + 1e-12).item<bool>())
        << (found.objective / theirs).max();
    EXPECT_TRUE(at::allclose(found.objective, theirs, 1e-4, 1e-12));
    EXPECT_TRUE(at::allclose(solution.objective, found.objective, 1e-5, 1e-12));
    EXPECT_EQ(found.objective[7].item<double>(), 0.0);  // the row of zeros
  }

  core::SafetensorsFile file_{std::filesystem::path(REGULON_SOURCE_DIR) / "tests/golden/solvers.safetensors"};
};

TEST_F(SolversGolden, LassoIsNoWorse) {
  for (const at::ScalarType dtype : {at::kDouble, at::kFloat}) {
    for (const char* solver : {"cd", "fista", "omp"}) {
      solvers::Problem given = problem(dtype);
      solvers::Settings settings = tests::by_lambda(solver, lambda(), false);
      settings.tolerance = dtype == at::kDouble ? 1e-10 : 1e-7;
      expect_as_good(given, settings, "lasso");
      settings.non_negative = true;
      expect_as_good(given, settings, "positive");
      expect_as_good(given, settings, "sparse_encode");
      given.costs = fixture("costs").to(dtype);
      expect_as_good(given, settings, "weighted");
    }
  }
}

TEST_F(SolversGolden, LassoCodesAgree) {
  for (const char* solver : {"cd", "fista", "omp"}) {
    solvers::Settings settings = tests::by_lambda(solver, lambda());
    settings.tolerance = 1e-14;
    const at::Tensor codes = solvers::solve(problem(at::kDouble), settings).codes.to_dense();
    EXPECT_TRUE(at::allclose(codes, fixture("positive.codes"), 1e-5, 1e-6)) << solver;
    EXPECT_GT(codes.count_nonzero().item<std::int64_t>(), 24);
  }
}

TEST_F(SolversGolden, OmpFindsTheSameSupportAndCodes) {
  const auto k = static_cast<std::int64_t>(fixture("k").item<double>());
  const at::Tensor theirs = fixture("omp.codes");
  for (const at::ScalarType dtype : {at::kDouble, at::kFloat}) {
    const at::Tensor ours = solvers::solve(problem(dtype), tests::by_k("omp", k, false)).codes.to_dense();
    EXPECT_TRUE(at::equal(ours != 0, theirs != 0)) << dtype;
    EXPECT_TRUE(at::allclose(ours.to(at::kDouble), theirs, 1e-4, 1e-5)) << dtype;
  }
  EXPECT_EQ((theirs != 0).sum().item<std::int64_t>(), 23 * k);
}

}  // namespace
}  // namespace regulon::solvers_golden_test
