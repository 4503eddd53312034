#pragma once
/// Sparse coding problems, and what must hold of their solutions, computed without the SDK's solvers.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <regulon/solvers.h>
#include <regulon/step.h>

#include <cstdint>
#include <string>

namespace regulon::tests {

/// Unit rows, and rows that are sparse positive sums of them with some noise.
inline solvers::Problem sparse_problem(std::int64_t rows, std::int64_t n, std::int64_t d,
                                       at::ScalarType dtype, double active = 6) {
  const auto options = at::TensorOptions().dtype(at::kDouble);
  at::Tensor atoms = at::randn({n, d}, named_generator(1, "atoms"), options);
  atoms = atoms / atoms.norm(2, {1}, true);
  const at::Tensor chosen =
      at::rand({rows, n}, named_generator(2, "chosen"), options) < active / static_cast<double>(n);
  const at::Tensor amounts = at::rand({rows, n}, named_generator(3, "amounts"), options) * chosen;
  const at::Tensor noise = at::randn({rows, d}, named_generator(4, "noise"), options) * 0.03;
  solvers::Problem problem;
  problem.rows = (at::matmul(amounts, atoms) + noise).to(dtype);
  problem.dictionary = atoms.to(dtype);
  return problem;
}

/// What plain matrix algebra in double finds of codes [B, n].
struct Found {
  Found(const solvers::Problem& problem, const solvers::Settings& settings, const Codes& solved)
      : dictionary(problem.dictionary.to(at::kDouble)), codes(solved.to_dense().to(at::kDouble)) {
    at::Tensor rows = problem.rows.to(at::kDouble);
    if (problem.bias.defined()) rows = rows - problem.bias.to(at::kDouble);
    const at::Tensor costs =
        problem.costs.defined() ? problem.costs.to(at::kDouble) : at::ones({dictionary.size(0)}, at::kDouble);
    prices = settings.lambda * costs;
    residual = rows - at::matmul(codes, dictionary);
    objective = residual.square().sum(1) / 2 + at::matmul(codes.abs(), prices);
    correlations = at::matmul(residual, dictionary.t());
    const at::Tensor sizes = settings.non_negative ? correlations : correlations.abs();
    const at::Tensor by = std::get<0>((sizes / prices).max(1)).clamp_min(1);
    const at::Tensor theta = residual / by.unsqueeze(1);
    dual = (rows.square().sum(1) - (rows - theta).square().sum(1)) / 2;
  }
  /// The largest violation of the optimality conditions of the lasso.
  double violation(bool non_negative) const {
    const at::Tensor sizes = non_negative ? correlations : correlations.abs();
    const at::Tensor off =
        at::where(codes != 0, (correlations - codes.sign() * prices).abs(), (sizes - prices).clamp_min(0));
    return off.max().item<double>();
  }
  at::Tensor dictionary;
  at::Tensor codes;
  at::Tensor prices;
  at::Tensor residual;
  at::Tensor objective;
  at::Tensor correlations;
  at::Tensor dual;
};

inline solvers::Settings by_lambda(const std::string& solver, double lambda, bool non_negative = true) {
  solvers::Settings settings;
  settings.solver = solver;
  settings.lambda = lambda;
  settings.non_negative = non_negative;
  return settings;
}

inline solvers::Settings by_k(const std::string& solver, std::int64_t k, bool non_negative = true) {
  solvers::Settings settings;
  settings.solver = solver;
  settings.k = k;
  settings.non_negative = non_negative;
  return settings;
}

inline bool same(const solvers::Solution& a, const solvers::Solution& b) {
  return at::equal(a.codes.row_offsets(), b.codes.row_offsets()) &&
         at::equal(a.codes.feature_ids(), b.codes.feature_ids()) &&
         at::equal(a.codes.values(), b.codes.values()) && at::equal(a.objective, b.objective);
}

}  // namespace regulon::tests
