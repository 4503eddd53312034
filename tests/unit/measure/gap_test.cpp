#include "core/measure/gap.h"

#include <gtest/gtest.h>
#include <regulon/solvers.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/unit/support/expect_error.h"
#include "tests/unit/support/toy_step.h"

namespace regulon::core {
namespace {

/// Rows that are sparse sums of unit atoms, and a linear encoder for them.
struct GapToy {
  GapToy() {
    at::Tensor rows_of = tests::normal({60, 16}, 1);
    atoms = rows_of / rows_of.norm(2, {1}, true);
    const at::Tensor amounts = at::relu(tests::normal({90, 60}, 2).abs() - 1.9);
    rows = at::matmul(amounts, atoms) + 0.02 * tests::normal({90, 16}, 3) + bias;
  }
  Dictionary dictionary() const { return Dictionary(atoms, bias); }
  Codes encode(const at::Tensor& some) const {
    return Codes::dense(at::relu(at::matmul(some - bias, atoms.t()) - 0.5));
  }
  GapReport measure(const GapSettings& settings) const {
    return measure_gap(settings, dictionary(), costs, rows, [&] { return encode(rows); });
  }
  at::Tensor objective(const at::Tensor& codes, double lambda) const {
    const at::Tensor residual = rows - bias - at::matmul(codes, atoms);
    return residual.square().sum(1) / 2 + lambda * at::matmul(codes, costs);
  }
  at::Tensor atoms;
  at::Tensor bias = tests::normal({16}, 4);
  at::Tensor costs = at::linspace(0.5, 1.5, 60, at::kDouble);
  at::Tensor rows;
};

TEST(Gap, FiguresAreWhatTheySay) {
  const GapToy toy;
  GapSettings settings;
  settings.lambda = 0.1;
  settings.solvers = {"cd", "omp"};
  const GapReport report = toy.measure(settings);
  ASSERT_EQ(report.methods.size(), 4U);
  const at::Tensor codes = toy.encode(toy.rows).to_dense();
  const at::Tensor objective = toy.objective(codes, 0.1);
  const GapMethod& encoder = report.methods[0];
  EXPECT_EQ(encoder.name, "encoder");
  EXPECT_TRUE(at::allclose(find_tensor(encoder.rows, "objective"), objective));
  EXPECT_NEAR(encoder.objective.mean, objective.mean().item<double>(), 1e-9);
  EXPECT_NEAR(encoder.objective.spread, objective.std().item<double>(), 1e-9);
  EXPECT_NEAR(encoder.l0.mean, (codes > 0).sum().item<double>() / 90, 1e-12);
  EXPECT_EQ(encoder.distance.mean, 0.0);
  EXPECT_EQ(encoder.common.mean, 1.0);

  const solvers::Problem problem{toy.rows, toy.atoms, toy.bias, toy.costs};
  solvers::Settings lasso;
  lasso.lambda = 0.1;
  const at::Tensor best = solvers::solve(problem, lasso).codes.to_dense();
  const GapMethod& cd = report.methods[1];
  EXPECT_TRUE(at::allclose(find_tensor(cd.rows, "objective"), toy.objective(best, 0.1), 1e-6));
  EXPECT_TRUE(at::all(find_tensor(cd.rows, "objective") <= objective + 1e-6).item<bool>());
  const at::Tensor distance = (codes - best).norm(2, {1}) / best.norm(2, {1});
  const at::Tensor has = best.norm(2, {1}) > 0;
  EXPECT_TRUE(at::allclose(find_tensor(cd.rows, "distance").masked_select(has), distance.masked_select(has)));
  const at::Tensor both = ((codes > 0) & (best > 0)).sum(1).to(at::kDouble);
  const at::Tensor either = ((codes > 0) | (best > 0)).sum(1).to(at::kDouble);
  EXPECT_TRUE(at::allclose(find_tensor(cd.rows, "common"),
                           at::where(either > 0, both / either, at::ones({90}, at::kDouble))));
  EXPECT_LT(cd.gap.mean, 1e-5);
  EXPECT_TRUE(std::isnan(report.methods[2].gap.mean));
  EXPECT_EQ(report.methods[2].k, std::llround(encoder.l0.mean));

  // The worst rows are those where the encoder is furthest above the first solver.
  const at::Tensor above = objective - toy.objective(best, 0.1);
  EXPECT_EQ(report.worst.at(0), above.argmax().item<std::int64_t>());
  EXPECT_EQ(report.worst.size(), 8U);
}

TEST(Gap, ShowsWhatPruningTheEncodersCodesComesTo) {
  const GapToy toy;
  GapSettings settings;
  settings.lambda = 0.1;
  const GapMethod pruned = toy.measure(settings).methods.back();
  EXPECT_EQ(pruned.name, "pruned");
  const at::Tensor codes = toy.encode(toy.rows).to_dense();
  const at::Tensor residual = toy.rows - toy.bias - at::matmul(codes, toy.atoms);
  const at::Tensor kept = at::where(at::matmul(residual, toy.atoms.t()) + codes > 0, codes, 0);  // unit atoms
  ASSERT_LT((kept > 0).sum().item<std::int64_t>(), (codes > 0).sum().item<std::int64_t>());
  EXPECT_TRUE(at::allclose(find_tensor(pruned.rows, "l0"), (kept > 0).sum(1).to(at::kDouble)));
  EXPECT_TRUE(at::allclose(find_tensor(pruned.rows, "objective"), toy.objective(kept, 0.1), 1e-5));
}

TEST(Gap, MatchesTheEncodersL0) {
  const GapToy toy;
  const GapReport report = toy.measure({});
  EXPECT_NEAR(report.methods[1].l0.mean, report.methods[0].l0.mean, 0.1);
  EXPECT_LE(report.methods[1].objective.mean, report.methods[0].objective.mean);
  EXPECT_EQ(report.methods[1].lambda, report.lambda);
  for (const char* name : {"cd.objective", "omp.common", "gradient_pursuit.gap", "encoder.l0"})
    EXPECT_EQ(find_tensor(row_table(report), name).size(0), 90) << name;
  EXPECT_EQ(to_json(report).at("methods").size(), 5U);
}

TEST(Gap, RefusesWhatMakesNoSense) {
  const GapToy toy;
  GapSettings settings;
  settings.solvers = {"cd", "opm"};
  tests::expect_error<InputError>([&] { toy.measure(settings); }, {"did you mean 'omp'"});
  settings.solvers = {"omp"};
  settings.k = 61;
  tests::expect_error<InputError>([&] { toy.measure(settings); }, {"0 to 60"});
  GapToy none;
  none.rows = none.rows.narrow(0, 0, 0);
  tests::expect_error<InputError>([&] { none.measure({}); }, {"at least one row"});
}

}  // namespace
}  // namespace regulon::core
