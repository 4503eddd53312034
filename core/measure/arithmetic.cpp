#include "core/measure/arithmetic.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/stack.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <regulon/error.h>
#include <regulon/ops.h>
#include <regulon/solvers.h>
#include <regulon/step.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/measure/nearest.h"

namespace regulon::core {
namespace {

constexpr double kExplained = 0.9;
constexpr double kWellExplained = 0.95;
constexpr std::int64_t kRandomDirections = 256;

double share_above(const at::Tensor& cosines, double limit) {
  return (cosines >= limit).to(at::kDouble).mean().item<double>();
}

/// The sums that a solver finds, and their cosines with what they are to be.
struct Sums {
  Codes codes;
  at::Tensor cosines;  ///< [n] float32
};

Sums find_sums(const at::Tensor& rows, const at::Tensor& parts, const solvers::Settings& settings) {
  const Codes codes = solvers::solve({rows, parts, {}, {}}, settings).codes;
  const at::Tensor sums = ops::decode(codes, parts, {});
  // A sum of no parts has no direction: its cosine counts as zero.
  return {codes, (rows * unit_directions(sums)).sum(1)};
}

ArithmeticPoint measure_sums(const Sums& sums, const Sums& random, const solvers::Settings& settings) {
  ArithmeticPoint point;
  point.solver = settings.solver;
  point.k = settings.k;
  point.lambda = settings.lambda;
  point.mean_cosine = sums.cosines.mean().item<double>();
  point.random_cosine = random.cosines.mean().item<double>();
  point.share_90 = share_above(sums.cosines, kExplained);
  point.share_95 = share_above(sums.cosines, kWellExplained);
  point.random_90 = share_above(random.cosines, kExplained);
  const at::Tensor explained = sums.cosines >= kExplained;
  const at::Tensor counts = sums.codes.row_offsets().diff().to(at::kDouble);
  if (explained.any().item<bool>()) point.parts = counts.masked_select(explained).mean().item<double>();
  return point;
}

std::vector<solvers::Settings> all_settings(const ArithmeticSettings& settings, std::int64_t parts) {
  std::vector<solvers::Settings> all;
  for (const std::int64_t k : settings.parts) {
    if (k > parts) continue;
    solvers::Settings pursuit;
    pursuit.solver = "omp";
    pursuit.k = k;
    all.push_back(pursuit);
  }
  for (const double lambda : settings.lambdas) {
    solvers::Settings lasso;
    lasso.lambda = lambda;
    lasso.tolerance = 1e-4;
    all.push_back(lasso);
  }
  return all;
}

}  // namespace

Arithmetic feature_arithmetic(const at::Tensor& rows, const at::Tensor& parts,
                              const ArithmeticSettings& settings) {
  const at::NoGradGuard no_grad;
  if (rows.size(0) == 0 || parts.size(0) == 0) {
    throw InputError({"A and B",
                      "there are no directions to add up",
                      "at least one on each side",
                      fmt::format("{} and {}", rows.size(0), parts.size(0)),
                      {}});
  }
  Arithmetic result;
  result.of = rows.size(0);
  result.features = std::min(settings.features, result.of);
  result.ids = (at::arange(result.features, at::kLong) * result.of).floor_divide(result.features);
  const at::Tensor looked_at = rows.index_select(0, result.ids);
  const at::Tensor random = unit_directions(at::randn({kRandomDirections, rows.size(1)},
                                                      named_generator(settings.seed, "arithmetic.random"),
                                                      at::TensorOptions(at::kFloat)));
  std::vector<at::Tensor> cosines;
  at::Tensor by_one;
  at::Tensor by_few;
  for (const solvers::Settings& solver : all_settings(settings, parts.size(0))) {
    const Sums sums = find_sums(looked_at, parts, solver);
    result.points.push_back(measure_sums(sums, find_sums(random, parts, solver), solver));
    cosines.push_back(sums.cosines);
    if (solver.k == 1) by_one = sums.cosines >= kExplained;
    if (solver.k > 0 && solver.k <= result.most_parts) {
      const at::Tensor explained = sums.cosines >= kExplained;
      by_few = by_few.defined() ? by_few.logical_or(explained) : explained;
      result.sums = sums.codes;
    }
  }
  result.cosines = at::stack(cosines, 1);
  if (by_one.defined()) {
    result.same = by_one.to(at::kDouble).mean().item<double>();
    result.combined = by_few.logical_and(by_one.logical_not()).to(at::kDouble).mean().item<double>();
  }
  return result;
}

nlohmann::json to_json(const Arithmetic& arithmetic) {
  nlohmann::json points = nlohmann::json::array();
  for (const ArithmeticPoint& point : arithmetic.points) {
    points.push_back({{"solver", point.solver},
                      {"k", point.k},
                      {"lambda", point.lambda},
                      {"mean_cosine", point.mean_cosine},
                      {"random_cosine", point.random_cosine},
                      {"share_90", point.share_90},
                      {"share_95", point.share_95},
                      {"random_90", point.random_90},
                      {"parts", point.parts}});
  }
  return {{"features", arithmetic.features},
          {"of", arithmetic.of},
          {"same", arithmetic.same},
          {"combined", arithmetic.combined},
          {"most_parts", arithmetic.most_parts},
          {"points", points}};
}

NamedTensors arithmetic_tables(const Arithmetic& arithmetic, const std::string& prefix) {
  NamedTensors tables = {{prefix + "ids", arithmetic.ids}, {prefix + "cosines", arithmetic.cosines}};
  if (arithmetic.sums) {
    tables.emplace_back(prefix + "row_offsets", arithmetic.sums->row_offsets());
    tables.emplace_back(prefix + "feature_ids", arithmetic.sums->feature_ids());
    tables.emplace_back(prefix + "values", arithmetic.sums->values());
  }
  return tables;
}

}  // namespace regulon::core
