#include "core/measure/gap.h"

#include <ATen/ops/full.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <regulon/error.h>
#include <regulon/ops.h>
#include <regulon/solvers.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/measure/evaluation.h"

namespace regulon::core {
namespace {

constexpr std::int64_t kMatchRows = 128;  ///< that lambda is matched on
constexpr double kMatchStep = 1.5;
constexpr int kMatchSteps = 40;

RowFigure figure_of(const at::Tensor& rows) {
  const bool several = rows.size(0) > 1;
  return {rows.mean().item<double>(), several ? rows.std().item<double>() : 0};
}

/// What two rows of codes have to do with each other.
struct Comparison {
  at::Tensor distance;  ///< [R]
  at::Tensor common;    ///< [R]
};

/// Both sparse, each row's features ascending: merged.
Comparison compare(const Codes& ours, const Codes& theirs) {
  const std::int64_t count = ours.rows();
  Comparison result{at::zeros({count}, at::kDouble), at::zeros({count}, at::kDouble)};
  const at::Tensor values[2] = {ours.values().to(at::kDouble), theirs.values().to(at::kDouble)};
  const std::int64_t* const a_offsets = ours.row_offsets().const_data_ptr<std::int64_t>();
  const std::int64_t* const b_offsets = theirs.row_offsets().const_data_ptr<std::int64_t>();
  const std::int32_t* const a_ids = ours.feature_ids().const_data_ptr<std::int32_t>();
  const std::int32_t* const b_ids = theirs.feature_ids().const_data_ptr<std::int32_t>();
  const double* const a_values = values[0].const_data_ptr<double>();
  const double* const b_values = values[1].const_data_ptr<double>();
  for (std::int64_t row = 0; row < count; ++row) {
    double difference = 0;
    double size = 0;
    std::int64_t both = 0;
    std::int64_t either = 0;
    std::int64_t a = a_offsets[row];
    std::int64_t b = b_offsets[row];
    while (a < a_offsets[row + 1] || b < b_offsets[row + 1]) {
      const bool take_a = b == b_offsets[row + 1] || (a < a_offsets[row + 1] && a_ids[a] <= b_ids[b]);
      const bool take_b = a == a_offsets[row + 1] || (b < b_offsets[row + 1] && b_ids[b] <= a_ids[a]);
      const double mine = take_a ? a_values[a++] : 0;
      const double other = take_b ? b_values[b++] : 0;
      difference += (mine - other) * (mine - other);
      size += other * other;
      both += mine != 0 && other != 0 ? 1 : 0;
      either += mine != 0 || other != 0 ? 1 : 0;
    }
    const double distance = size > 0 ? std::sqrt(difference / size) : (difference > 0 ? 1 : 0);
    result.distance.mutable_data_ptr<double>()[row] = distance;
    result.common.mutable_data_ptr<double>()[row] =
        either > 0 ? static_cast<double>(both) / static_cast<double>(either) : 1;
  }
  return result;
}

/// [R]: sum of each row's entries.
at::Tensor row_sums(const Codes& codes, const at::Tensor& values) {
  return at::zeros({codes.rows()}, at::kDouble).index_add(0, codes.entry_rows(), values.to(at::kDouble));
}

class Comparer {
 public:
  Comparer(const Dictionary& dictionary, at::Tensor costs, at::Tensor rows)
      : dictionary_(dictionary), costs_(std::move(costs)), rows_(std::move(rows)) {}

  void set_lambda(double lambda) { lambda_ = lambda; }
  double lambda() const { return lambda_; }
  const at::Tensor& rows() const { return rows_; }

  GapMethod measure(const std::string& name, const Codes& codes, const Codes& encoded, double seconds) const {
    GapMethod method;
    method.name = name;
    const at::Tensor rebuilt = ops::decode(codes, dictionary_);
    Evaluator evaluator(dictionary_.features(), dictionary_.width());
    evaluator.add(rows_, codes, rebuilt);
    method.fvu = evaluator.result().fvu;
    method.seconds_per_row = seconds / static_cast<double>(rows_.size(0));
    const at::Tensor error = (rows_.to(at::kDouble) - rebuilt.to(at::kDouble)).square().sum(1);
    const at::Tensor prices = costs_.index_select(0, codes.feature_ids()).to(at::kDouble);
    const at::Tensor spent = row_sums(codes, codes.values().abs().to(at::kDouble) * prices);
    const Comparison compared = compare(encoded, codes);
    method.rows = {{"objective", error / 2 + lambda_ * spent},
                   {"error", error},
                   {"l0", row_sums(codes, (codes.values() != 0).to(at::kDouble))},
                   {"distance", compared.distance},
                   {"common", compared.common}};
    summarise(method);
    return method;
  }

  /// The encoder's codes less those that explain nothing which others do not; `seconds`: what it took itself.
  GapMethod pruned(const Codes& encoded, double seconds) const {
    const auto began = std::chrono::steady_clock::now();
    const Codes kept = ops::prune(encoded, rows_, dictionary_, 0);
    const auto took = std::chrono::steady_clock::now() - began;
    return measure("pruned", kept, encoded, seconds + std::chrono::duration<double>(took).count());
  }

  GapMethod solve(const solvers::Settings& settings, const Codes& encoded) const {
    const auto began = std::chrono::steady_clock::now();
    const solvers::Solution solution =
        solvers::solve({rows_, dictionary_.weight(), dictionary_.bias(), costs_}, settings);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    GapMethod method = measure(settings.solver, solution.codes, encoded, seconds);
    method.lambda = settings.lambda;
    method.k = settings.k;
    method.rows.emplace_back("gap", solution.gap);
    method.gap = figure_of(solution.gap);
    return method;
  }

 private:
  static void summarise(GapMethod& method) {
    method.objective = figure_of(find_tensor(method.rows, "objective"));
    method.error = figure_of(find_tensor(method.rows, "error"));
    method.l0 = figure_of(find_tensor(method.rows, "l0"));
    method.distance = figure_of(find_tensor(method.rows, "distance"));
    method.common = figure_of(find_tensor(method.rows, "common"));
    method.gap = {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::quiet_NaN()};
  }

  Dictionary dictionary_;
  at::Tensor costs_;
  at::Tensor rows_;
  double lambda_ = 0;
};

/// A solver's settings in the comparison: lasso solvers at lambda, pursuits at k.
solvers::Settings settings_for(const std::string& solver, double lambda, std::int64_t k) {
  solvers::Settings settings;
  settings.solver = solver;
  if (solvers::is_pursuit(solver)) {
    settings.k = k;
  } else {
    settings.lambda = lambda;
  }
  return settings;
}

std::vector<std::int64_t> worst_rows(const GapReport& report, std::int64_t count) {
  if (report.methods.size() < 2) return {};
  const at::Tensor above =
      find_tensor(report.methods[0].rows, "objective") - find_tensor(report.methods[1].rows, "objective");
  const at::Tensor order = above.argsort(0, true);
  std::vector<std::int64_t> rows;
  for (std::int64_t i = 0; i < std::min(count, order.size(0)); ++i)
    rows.push_back(order[i].item<std::int64_t>());
  return rows;
}

nlohmann::json to_json(const RowFigure& figure) { return {{"mean", figure.mean}, {"spread", figure.spread}}; }

}  // namespace

double lambda_for_l0(const Dictionary& dictionary, const at::Tensor& costs, const at::Tensor& rows,
                     double l0) {
  const at::NoGradGuard no_grad;
  const at::Tensor few = rows.narrow(0, 0, std::min(kMatchRows, rows.size(0)));
  // Above this no code pays in any row.
  const at::Tensor highest =
      at::mm(few - dictionary.bias(), dictionary.weight().t()).abs() / costs.clamp_min(1e-12);
  double high = std::max(1e-12, highest.max().item<double>());
  solvers::Settings settings;
  settings.tolerance = 1e-4;
  std::optional<Codes> last;
  const auto has_more = [&](double lambda) {
    settings.lambda = lambda;
    last = solvers::solve({few, dictionary.weight(), dictionary.bias(), costs}, settings, last).codes;
    return static_cast<double>(last->entries()) > l0 * static_cast<double>(few.size(0));
  };
  // Downwards from no codes: problems with far too many would take their time.
  double low = high / kMatchStep;
  for (int step = 0; step < kMatchSteps && !has_more(low); ++step) {
    high = low;
    low /= kMatchStep;
  }
  while (high > low * 1.005) (has_more(std::sqrt(low * high)) ? low : high) = settings.lambda;
  return std::sqrt(low * high);
}

GapReport measure_gap(const GapSettings& settings, const Dictionary& dictionary, const at::Tensor& costs,
                      const at::Tensor& rows, const std::function<Codes()>& encode) {
  const at::NoGradGuard no_grad;
  if (rows.size(0) == 0)
    throw InputError({"data", "there is nothing to measure on", "at least one row", "none", {}});
  const Dictionary plain = dictionary.detach();
  const at::Tensor prices =
      costs.defined() ? costs : at::full({plain.features()}, 1, plain.weight().options());
  const auto began = std::chrono::steady_clock::now();
  const Codes encoded = encode().detach();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  const double l0 = mean_l0(encoded);
  const std::int64_t k =
      settings.k > 0
          ? settings.k
          : std::clamp<std::int64_t>(std::llround(l0), 1, std::max<std::int64_t>(1, plain.features()));
  GapReport report;
  report.rows = rows.size(0);
  report.lambda =
      settings.lambda > 0 ? settings.lambda : lambda_for_l0(plain, prices, rows, std::max(l0, 0.01));
  for (const std::string& solver : settings.solvers)
    solvers::check(settings_for(solver, report.lambda, k), plain.features());
  Comparer comparer(plain, prices, rows);
  comparer.set_lambda(report.lambda);
  report.methods.push_back(comparer.measure("encoder", encoded, encoded, seconds));
  for (const std::string& solver : settings.solvers)
    report.methods.push_back(comparer.solve(settings_for(solver, report.lambda, k), encoded));
  report.methods.push_back(comparer.pruned(encoded, seconds));
  report.worst = worst_rows(report, settings.worst);
  return report;
}

nlohmann::json to_json(const GapReport& report) {
  nlohmann::json methods = nlohmann::json::array();
  for (const GapMethod& method : report.methods) {
    methods.push_back({{"name", method.name},
                       {"lambda", method.lambda},
                       {"k", method.k},
                       {"fvu", method.fvu},
                       {"seconds_per_row", method.seconds_per_row},
                       {"objective", to_json(method.objective)},
                       {"error", to_json(method.error)},
                       {"l0", to_json(method.l0)},
                       {"distance", to_json(method.distance)},
                       {"common", to_json(method.common)},
                       {"duality_gap", to_json(method.gap)}});
  }
  return {
      {"rows", report.rows}, {"lambda", report.lambda}, {"methods", methods}, {"worst_rows", report.worst}};
}

NamedTensors row_table(const GapReport& report) {
  NamedTensors table;
  for (const GapMethod& method : report.methods) {
    for (const auto& [figure, values] : method.rows)
      table.emplace_back(fmt::format("{}.{}", method.name, figure), values);
  }
  return table;
}

}  // namespace regulon::core
