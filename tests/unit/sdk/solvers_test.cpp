#include <fmt/format.h>
#include <gtest/gtest.h>
#include <regulon/ops.h>

#include <limits>

#include "tests/unit/sdk/solvers_support.h"
#include "tests/unit/support/expect_error.h"

namespace regulon::solvers_test {
namespace {

using solvers::Problem;
using solvers::Settings;
using solvers::Solution;
using tests::by_k;
using tests::by_lambda;
using tests::expect_error;
using tests::Found;
using tests::sparse_problem;

constexpr double kLambda = 0.08;

TEST(Solvers, LassoMeetsTheOptimalityConditionsAndTheGapIsTrue) {
  for (const at::ScalarType dtype : {at::kDouble, at::kFloat}) {
    for (const bool non_negative : {true, false}) {
      for (const char* solver : {"cd", "fista"}) {
        SCOPED_TRACE(fmt::format("{} {} {}", solver, non_negative, dtype == at::kDouble));
        Problem problem = sparse_problem(100, 700, 40, dtype);
        problem.costs = (at::arange(700, at::kDouble) / 700 + 0.5).to(dtype);
        problem.bias = at::linspace(-0.1, 0.1, 40, at::kDouble).to(dtype);
        Settings settings = by_lambda(solver, kLambda, non_negative);
        settings.tolerance = dtype == at::kDouble ? 1e-11 : 1e-6;
        const Solution solution = solvers::solve(problem, settings);
        const Found found(problem, settings, solution.codes);
        const bool exact = dtype == at::kDouble;
        EXPECT_LT(found.violation(non_negative), exact ? 1e-5 : 1e-4);
        const at::Tensor gap = found.objective - found.dual;
        const at::Tensor whole = problem.rows.to(at::kDouble).square().sum(1) / 2;
        EXPECT_TRUE(at::all(solution.gap <= 1.01 * settings.tolerance * (whole + 0.1)).item<bool>());
        EXPECT_LT((solution.gap - gap).abs().max().item<double>(), exact ? 1e-13 : 1e-6);
        EXPECT_TRUE(at::allclose(solution.objective, found.objective, 1e-5, 1e-9));
        if (non_negative) {
          EXPECT_GE(solution.codes.values().min().item<double>(), 0.0);
        }
        EXPECT_EQ((solution.codes.values() < 0).any().item<bool>(), !non_negative);
        EXPECT_GT(solution.codes.entries(), 300);
      }
    }
  }
}

TEST(Solvers, GapIsTrueWhereItIsStillLarge) {
  const Problem problem = sparse_problem(20, 300, 30, at::kDouble);
  for (const char* solver : {"matching_pursuit", "gradient_pursuit", "omp"}) {
    Settings settings = by_lambda(solver, 0.02);
    settings.k = 3;
    const Solution solution = solvers::solve(problem, settings);
    const Found found(problem, settings, solution.codes);
    EXPECT_TRUE(at::allclose(solution.gap, found.objective - found.dual, 1e-9)) << solver;
    EXPECT_GT(solution.gap.min().item<double>(), 1e-3) << solver;
  }
}

/// OMP as it is written: after each atom, least squares over the chosen ones.
at::Tensor plain_omp(const Problem& problem, std::int64_t k) {
  at::Tensor codes = at::zeros({problem.rows.size(0), problem.dictionary.size(0)}, at::kDouble);
  for (std::int64_t row = 0; row < codes.size(0); ++row) {
    std::vector<std::int64_t> chosen;
    at::Tensor residual = problem.rows[row];
    at::Tensor fitted;
    for (std::int64_t step = 0; step < k; ++step) {
      chosen.push_back(at::mv(problem.dictionary, residual).abs().argmax().item<std::int64_t>());
      const at::Tensor atoms = problem.dictionary.index_select(0, at::tensor(chosen));
      const at::Tensor gram = at::matmul(atoms, atoms.t());
      fitted = at::mv(at::inverse(gram), at::mv(atoms, problem.rows[row]));
      residual = problem.rows[row] - at::mv(atoms.t(), fitted);
    }
    codes[row].index_copy_(0, at::tensor(chosen), fitted);
  }
  return codes;
}

TEST(Solvers, OmpIsWhatItSays) {
  const Problem exact = sparse_problem(70, 600, 40, at::kDouble);
  const at::Tensor expected = plain_omp(exact, 7);
  EXPECT_TRUE(at::allclose(solvers::solve(exact, by_k("omp", 7, false)).codes.to_dense(), expected, 1e-9));
  // In float the screening product may be bfloat16: decisions must not be.
  const Problem single = sparse_problem(70, 600, 40, at::kFloat);
  const at::Tensor found = solvers::solve(single, by_k("omp", 7, false)).codes.to_dense().to(at::kDouble);
  EXPECT_TRUE(at::equal(found != 0, expected != 0));
  EXPECT_TRUE(at::allclose(found, expected, 1e-4, 1e-5));
}

TEST(Solvers, LengthsOfRowsAndAtomsDoNotMatter) {
  const Problem plain = sparse_problem(20, 200, 24, at::kDouble);
  Problem scaled = plain;
  const at::Tensor lengths = at::logspace(-4, 5, 200, 10.0, at::kDouble);
  scaled.dictionary = plain.dictionary * lengths.unsqueeze(1);
  scaled.rows = plain.rows * 1e3;
  for (const char* solver : {"omp", "matching_pursuit", "gradient_pursuit"}) {
    const at::Tensor expected = solvers::solve(plain, by_k(solver, 5)).codes.to_dense();
    const at::Tensor found = solvers::solve(scaled, by_k(solver, 5)).codes.to_dense() * lengths / 1e3;
    EXPECT_TRUE(at::allclose(found, expected, 1e-8)) << solver;
  }
  // Numbers whose squares leave the range of float.
  Problem wild = sparse_problem(20, 200, 24, at::kFloat);
  const at::Tensor expected = solvers::solve(wild, by_k("omp", 5)).codes.values();
  wild.rows = wild.rows * 1e30;
  EXPECT_TRUE(at::allclose(solvers::solve(wild, by_k("omp", 5)).codes.values() / 1e30, expected, 1e-5));
}

TEST(Solvers, PursuitsStayNonNegativeAndWithinK) {
  const Problem problem = sparse_problem(60, 300, 30, at::kFloat);
  for (const char* solver : {"omp", "matching_pursuit", "gradient_pursuit"}) {
    const Solution five = solvers::solve(problem, by_k(solver, 5));
    const Solution nine = solvers::solve(problem, by_k(solver, 9));
    EXPECT_GT(five.codes.values().min().item<double>(), 0.0) << solver;
    const at::Tensor counts = five.codes.row_offsets().diff();
    EXPECT_LE(counts.max().item<std::int64_t>(), 5) << solver;
    EXPECT_GT(counts.to(at::kDouble).mean().item<double>(), 4) << solver;
    EXPECT_TRUE(at::all(nine.objective <= five.objective + 1e-9).item<bool>()) << solver;
    EXPECT_TRUE(at::isnan(five.gap).all().item<bool>()) << solver;
    const Found found(problem, by_k(solver, 5), five.codes);
    EXPECT_TRUE(at::allclose(five.objective, found.objective, 1e-4, 1e-7)) << solver;
  }
  // Of the three, a fit of all codes is the best.
  const auto mean = [&](const char* solver) {
    return solvers::solve(problem, by_k(solver, 8)).objective.mean().item<double>();
  };
  EXPECT_LT(mean("omp"), mean("gradient_pursuit"));
  EXPECT_LT(mean("gradient_pursuit"), mean("matching_pursuit"));
}

TEST(Solvers, NonNegativeOmpFitsItsSupport) {
  const Problem problem = sparse_problem(40, 300, 30, at::kDouble);
  const Solution solution = solvers::solve(problem, by_k("omp", 8));
  const Found found(problem, by_k("omp", 8), solution.codes);
  const at::Tensor on_support = found.correlations.masked_select(found.codes != 0);
  EXPECT_LT(on_support.abs().max().item<double>(), 1e-10);
}

TEST(Solvers, WarmStartsComeToTheSameAnswerSooner) {
  const Problem problem = sparse_problem(50, 400, 30, at::kDouble);
  for (const char* solver : {"cd", "fista"}) {
    Settings settings = by_lambda(solver, kLambda);
    settings.tolerance = 1e-12;
    const Solution cold = solvers::solve(problem, settings);
    const Solution rough = solvers::solve(problem, by_k("gradient_pursuit", 6));
    const Solution warm = solvers::solve(problem, settings, rough.codes);
    const Solution again = solvers::solve(problem, settings, cold.codes);
    EXPECT_TRUE(at::allclose(warm.codes.to_dense(), cold.codes.to_dense(), 1e-5, 1e-6)) << solver;
    EXPECT_TRUE(at::allclose(again.codes.to_dense(), cold.codes.to_dense(), 1e-5, 1e-6)) << solver;
    EXPECT_LT(again.iterations.sum().item<std::int64_t>(), cold.iterations.sum().item<std::int64_t>())
        << solver;
  }
  // A pursuit that begins with k features fits them and looks for no others.
  const Solution chosen = solvers::solve(problem, by_k("matching_pursuit", 4));
  const Solution fitted = solvers::solve(problem, by_k("omp", 4), chosen.codes);
  EXPECT_TRUE(at::all(fitted.objective <= chosen.objective + 1e-12).item<bool>());
  EXPECT_FALSE(((fitted.codes.to_dense() != 0) & (chosen.codes.to_dense() == 0)).any().item<bool>());
}

TEST(Solvers, ThreadsDoNotShow) {
  const int before = at::get_num_threads();
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
    const Problem problem = sparse_problem(150, 700, 40, dtype);
    for (const solvers::Solver& solver : solvers::all()) {
      const Settings settings = solver.pursuit ? by_k(solver.name, 6) : by_lambda(solver.name, kLambda);
      at::set_num_threads(1);
      const Solution one = solvers::solve(problem, settings);
      at::set_num_threads(3);
      const Solution three = solvers::solve(problem, settings);
      EXPECT_TRUE(tests::same(one, three)) << solver.name;
      // Nor do the rows that happen to share a block.
      Problem part = problem;
      part.rows = problem.rows.narrow(0, 31, 40).contiguous();
      const Solution alone = solvers::solve(part, settings);
      EXPECT_TRUE(at::equal(alone.objective, one.objective.narrow(0, 31, 40))) << solver.name;
    }
  }
  at::set_num_threads(before);
}

TEST(Solvers, DegenerateDictionariesAndRows) {
  for (const solvers::Solver& solver : solvers::all()) {
    SCOPED_TRACE(solver.name);
    Problem problem = sparse_problem(12, 40, 10, at::kDouble);
    problem.dictionary[3].zero_();
    problem.dictionary.select(0, 9).copy_(problem.dictionary[8]);
    problem.dictionary.select(0, 10).copy_(problem.dictionary[8] * 2);
    problem.rows[5].zero_();
    problem.rows.select(0, 6).copy_(problem.dictionary[8] * 3);
    const Settings settings = solver.pursuit ? by_k(solver.name, 20) : by_lambda(solver.name, 0.01);
    const Solution solution = solvers::solve(problem, settings);
    const at::Tensor codes = solution.codes.to_dense();
    EXPECT_TRUE(at::isfinite(codes).all().item<bool>());
    EXPECT_EQ(codes.select(1, 3).abs().max().item<double>(), 0.0);
    EXPECT_EQ(codes[5].abs().max().item<double>(), 0.0);
    EXPECT_EQ(solution.objective[5].item<double>(), 0.0);
    const Found found(problem, settings, solution.codes);
    EXPECT_LT(found.residual[6].norm().item<double>(), 0.02);
    if (solver.pursuit) {
      EXPECT_NEAR(codes[6][8].item<double>(), 3.0, 1e-9);  // of equals the first, and only that
      EXPECT_EQ(codes[6].count_nonzero().item<std::int64_t>(), 1);
    } else {
      EXPECT_LT((solution.gap / solution.objective.clamp_min(1e-9)).max().item<double>(), 1e-3);
    }
  }
}

TEST(Solvers, NoRowsNoFeaturesAndLambdaTooLarge) {
  Problem problem = sparse_problem(4, 30, 8, at::kFloat);
  const Solution none = solvers::solve(problem, by_lambda("cd", 100));
  EXPECT_EQ(none.codes.entries(), 0);
  EXPECT_TRUE(at::allclose(none.objective, problem.rows.to(at::kDouble).square().sum(1) / 2, 1e-6));
  EXPECT_LT(none.gap.abs().max().item<double>(), 1e-7);
  problem.rows = problem.rows.narrow(0, 0, 0);
  EXPECT_EQ(solvers::solve(problem, by_k("omp", 3)).codes.rows(), 0);
}

TEST(Solvers, RefuseWhatMakesNoSense) {
  const Problem problem = sparse_problem(4, 30, 8, at::kFloat);
  const auto refused = [&](Settings settings, const std::string& word) {
    expect_error<InputError>([&] { solvers::solve(problem, settings); }, {word});
  };
  refused(by_lambda("cd", 0), "lambda above 0");
  refused(by_lambda("fista", -0.1), "lambda");
  refused(by_lambda("omp", std::numeric_limits<double>::quiet_NaN()), "lambda");
  refused(by_k("omp", 31), "0 to 30");
  refused(by_k("omp", -1), "cannot use k");
  refused(by_k("omp", 0), "nothing to end it");
  refused(by_k("opm", 3), "did you mean 'omp'");
  Settings both = by_lambda("cd", 0.1);
  both.k = 3;
  refused(both, "takes no k");
  Settings loose = by_lambda("cd", 0.1);
  loose.tolerance = 0;
  refused(loose, "tolerance");
}

TEST(Solvers, RefuseNumbersAndShapesThatCannotBeUsed) {
  const auto broken = [](auto change, const std::string& word) {
    Problem problem = sparse_problem(4, 30, 8, at::kFloat);
    change(problem);
    expect_error<RunError>([&] { solvers::solve(problem, by_lambda("omp", 0.1)); }, {word});
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  broken([&](Problem& p) { p.rows[2][3] = nan; }, "row 2 of the data");
  broken([&](Problem& p) { p.dictionary[7][0] = std::numeric_limits<double>::infinity(); },
         "row 7 of the dictionary");
  broken([&](Problem& p) { p.costs = at::full({30}, nan, at::kFloat); }, "costs");
  broken([&](Problem& p) { p.costs = at::full({30}, -1, at::kFloat); }, "costs");
  broken([&](Problem& p) { p.costs = at::ones({29}, at::kFloat); }, "costs");
  broken([&](Problem& p) { p.dictionary = p.dictionary.to(at::kDouble); }, "dictionary");
  broken([&](Problem& p) { p.bias = at::zeros({7}, at::kFloat); }, "bias");
}

}  // namespace
}  // namespace regulon::solvers_test
