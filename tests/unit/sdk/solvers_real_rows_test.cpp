/// The solvers' certificates on activations of a language model, with other activations as the dictionary.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "core/io/safetensors.h"
#include "tests/unit/sdk/solvers_support.h"

namespace regulon::tests {
namespace {

using solvers::Problem;
using solvers::Settings;

constexpr std::int64_t kRealRows = 200;
constexpr std::int64_t kRealAtoms = 1100;

at::Tensor sample_rows(const std::string& file) {
  const auto path = std::filesystem::path(REGULON_SOURCE_DIR) / "configs" / "minilm" / "data" / file;
  return core::SafetensorsFile(path).tensor("activations").to(at::kFloat);
}

/// Test rows over unit rows made of training rows less their mean: strongly correlated, as real ones are.
Problem real_problem() {
  const at::Tensor train = sample_rows("train-00000.safetensors").narrow(0, 0, kRealAtoms);
  Problem problem;
  problem.bias = train.mean(0);
  const at::Tensor centered = train - problem.bias;
  problem.dictionary = centered / centered.norm(2, {1}, true);
  problem.rows = sample_rows("test-00000.safetensors").narrow(0, 0, kRealRows).contiguous();
  return problem;
}

TEST(SolversOnRealRows, TheLassoIsOptimalAndItsGapTrue) {
  const Problem problem = real_problem();
  const double size = (problem.rows - problem.bias).norm(2, {1}).mean().item<double>();
  for (const char* solver : {"cd", "fista"}) {
    for (const bool non_negative : {true, false}) {
      SCOPED_TRACE(fmt::format("{} {}", solver, non_negative));
      Settings settings;
      settings.solver = solver;
      settings.lambda = 0.05 * size;
      settings.non_negative = non_negative;
      settings.tolerance = 1e-6;  // float32 comes no nearer than a few 1e-7
      const solvers::Solution solution = solvers::solve(problem, settings);
      const Found found(problem, settings, solution.codes);
      EXPECT_GT(solution.codes.entries(), 10 * kRealRows);
      EXPECT_LT(found.violation(non_negative), 2e-3 * settings.lambda);
      const at::Tensor whole = (problem.rows - problem.bias).to(at::kDouble).square().sum(1) / 2;
      const at::Tensor gap = found.objective - found.dual;
      EXPECT_TRUE(at::all(solution.gap <= 1.01 * settings.tolerance * whole).item<bool>());
      EXPECT_LT(((solution.gap - gap) / whole).abs().max().item<double>(), 5e-7);
    }
  }
}

TEST(SolversOnRealRows, PursuitsLeaveAResidualWithoutTheirAtoms) {
  const Problem problem = real_problem();
  Settings settings;
  settings.solver = "omp";
  settings.k = 20;
  settings.non_negative = false;
  const Found found(problem, settings, solvers::solve(problem, settings).codes);
  // Least squares over the chosen atoms: none of them is left in the residual.
  const at::Tensor left = at::where(found.codes != 0, found.correlations, 0).abs();
  EXPECT_LT(left.max().item<double>(), 1e-4 * problem.rows.norm(2, {1}).max().item<double>());
  EXPECT_EQ((found.codes != 0).sum(1).max().item<std::int64_t>(), 20);
}

}  // namespace
}  // namespace regulon::tests
