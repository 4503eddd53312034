#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <regulon/error.h>
#include <regulon/solvers.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/support.h"
#include "solvers/job.h"

namespace regulon::solvers {
namespace {

using detail::Job;
using detail::kBlockRows;
using detail::Row;
using ops::detail::check_floating;
using ops::detail::check_like;
using ops::detail::fail;

constexpr const char* kSolve = "solve";

[[noreturn]] void refuse(const std::string& what, const std::string& expected, const std::string& found,
                         const std::string& hint = {}) {
  throw InputError({"the solver", what, expected, found, hint});
}

const Solver* find(const std::string& name) {
  const auto found =
      std::find_if(all().begin(), all().end(), [&](const Solver& solver) { return solver.name == name; });
  return found == all().end() ? nullptr : &*found;
}

template <typename T>
detail::BlockSolver<T> block_solver(const std::string& name) {
  if (name == "omp") return &detail::solve_omp<T>;
  if (name == "matching_pursuit") return &detail::solve_matching_pursuit<T>;
  if (name == "gradient_pursuit") return &detail::solve_gradient_pursuit<T>;
  return name == "fista" ? &detail::solve_fista<T> : &detail::solve_coordinate_descent<T>;
}

void check_problem(const Problem& problem, const std::optional<Codes>& start) {
  check_floating(kSolve, "rows", problem.rows, 2);
  check_floating(kSolve, "dictionary", problem.dictionary, 2);
  const std::int64_t n = problem.dictionary.size(0);
  const std::int64_t d = problem.rows.size(1);
  check_like(kSolve, "dictionary", problem.dictionary, {n, d}, problem.rows);
  if (n > std::numeric_limits<std::int32_t>::max() - 4096)
    fail(kSolve, "too many features", "fewer than 2147479552", fmt::format("{}", n));
  if (problem.bias.defined()) check_like(kSolve, "bias", problem.bias, {d}, problem.rows);
  if (problem.costs.defined()) check_like(kSolve, "costs", problem.costs, {n}, problem.rows);
  if (start && (start->rows() != problem.rows.size(0) || start->features() != n)) {
    fail(kSolve, "cannot start from these codes", fmt::format("[{}, {}]", problem.rows.size(0), n),
         fmt::format("[{}, {}]", start->rows(), start->features()));
  }
}

/// Throws RunError naming the first row with a number that is not finite.
template <typename T>
void check_finite(const std::string& name, const at::Tensor& matrix) {
  const std::int64_t d = matrix.dim() == 2 ? matrix.size(1) : matrix.numel();
  const T* const numbers = matrix.const_data_ptr<T>();
  for (std::int64_t i = 0; i < matrix.numel(); ++i) {
    if (std::isfinite(numbers[i])) continue;
    fail(kSolve, fmt::format("row {} of the {} cannot be used", d > 0 ? i / d : 0, name), "finite numbers",
         fmt::format("{}", numbers[i]));
  }
}

template <typename T>
Job<T> make_job(const Problem& problem, const Settings& settings) {
  Job<T> job(problem.dictionary.detach().contiguous());
  job.non_negative = settings.non_negative;
  job.k = settings.k;
  job.iterations = settings.iterations;
  job.tolerance = settings.tolerance;
  if (!(settings.lambda > 0)) return job;
  const std::int64_t n = job.correlations.features();
  const at::Tensor costs = problem.costs.defined() ? problem.costs.detach().contiguous() : at::Tensor();
  const T* const cost = costs.defined() ? costs.const_data_ptr<T>() : nullptr;
  job.lowest_price = std::numeric_limits<double>::infinity();
  for (std::int64_t i = 0; i < n; ++i) {
    const double norm = job.correlations.norm(i);
    const double own = cost == nullptr ? 1 : static_cast<double>(cost[i]);
    if (own < 0) fail(kSolve, "cannot use the costs", "numbers of at least 0", fmt::format("{}", own));
    const double price = norm > 0 ? settings.lambda * own / norm : settings.lambda;
    job.prices.push_back(static_cast<T>(price));
    if (norm > 0) job.lowest_price = std::min(job.lowest_price, price);
  }
  return job;
}

/// Rows as they come in and codes as they go out.
template <typename T>
class Batch {
 public:
  Batch(const Problem& problem, const Settings& settings, const std::optional<Codes>& start)
      : job_(make_job<T>(problem, settings)), start_(start), solver_(block_solver<T>(settings.solver)) {
    at::Tensor rows = problem.rows.detach();
    if (problem.bias.defined()) rows = rows - problem.bias.detach();
    rows_ = rows.contiguous();
    check_finite<T>("data", rows_);
    const auto count = static_cast<std::size_t>(rows_.size(0));
    ids_.resize(count);
    values_.resize(count);
    objective_ = at::empty({rows_.size(0)}, at::kDouble);
    gap_ = at::empty({rows_.size(0)}, at::kDouble);
    iterations_ = at::empty({rows_.size(0)}, at::kLong);
    if (start_) start_values_ = start_->values().detach().to(rows_.scalar_type()).contiguous();
  }

  void solve() {
    const std::int64_t count = rows_.size(0);
    const std::int64_t blocks = (count + kBlockRows - 1) / kBlockRows;
    at::parallel_for(0, blocks, 1, [&](std::int64_t begin, std::int64_t end) {
      const c10::NoGradGuard no_grad;
      typename detail::Correlations<T>::Sweep sweep(job_.correlations);
      for (std::int64_t block = begin; block < end; ++block)
        solve_block(block * kBlockRows, std::min(count, (block + 1) * kBlockRows), sweep);
    });
  }

  Solution solution() const {
    const std::int64_t count = rows_.size(0);
    at::Tensor offsets = at::empty({count + 1}, at::kLong);
    auto* const offset = offsets.mutable_data_ptr<std::int64_t>();
    offset[0] = 0;
    for (std::int64_t i = 0; i < count; ++i)
      offset[i + 1] = offset[i] + static_cast<std::int64_t>(ids_[static_cast<std::size_t>(i)].size());
    at::Tensor ids = at::empty({offset[count]}, at::kInt);
    at::Tensor values = at::empty({offset[count]}, rows_.options());
    for (std::int64_t i = 0; i < count; ++i) {
      const auto row = static_cast<std::size_t>(i);
      std::copy(ids_[row].begin(), ids_[row].end(), ids.mutable_data_ptr<std::int32_t>() + offset[i]);
      std::copy(values_[row].begin(), values_[row].end(), values.mutable_data_ptr<T>() + offset[i]);
    }
    return {Codes::sparse(job_.correlations.features(), offsets, ids, values), objective_, gap_, iterations_};
  }

 private:
  void solve_block(std::int64_t first, std::int64_t last, typename detail::Correlations<T>::Sweep& sweep) {
    const std::int64_t d = rows_.size(1);
    std::vector<T> scaled(static_cast<std::size_t>((last - first) * d));
    std::vector<Row<T>> rows;
    std::vector<std::int64_t> numbers;
    for (std::int64_t i = first; i < last; ++i) {
      T* const to = scaled.data() + (i - first) * d;
      Row<T> row;
      row.x = to;
      if (!scale(i, to, row)) {
        finish(i, row);
        continue;
      }
      begin(i, row);
      rows.push_back(std::move(row));
      numbers.push_back(i);
    }
    if (rows.empty()) return;
    solver_(job_, rows, sweep);
    for (std::size_t i = 0; i < rows.size(); ++i) finish(numbers[i], rows[i]);
  }

  /// Copies a row, scaled; false if it is zero.
  bool scale(std::int64_t number, T* to, Row<T>& row) const {
    const std::int64_t d = rows_.size(1);
    const T* const from = rows_.const_data_ptr<T>() + number * d;
    T largest = 0;
    for (std::int64_t j = 0; j < d; ++j) largest = std::max(largest, std::fabs(from[j]));
    if (largest == 0) return false;
    // In two steps of powers of two, which are exact: elements to at most one, then the length.
    int exponent = std::ilogb(largest) + 1;
    for (std::int64_t j = 0; j < d; ++j) to[j] = std::ldexp(from[j], -exponent);
    const int length = std::ilogb(std::sqrt(job_.correlations.kernels().square_sum(to, d)));
    for (std::int64_t j = 0; j < d; ++j) to[j] = std::ldexp(to[j], -length);
    row.scale = std::ldexp(T(1), -(exponent + length));
    return true;
  }

  /// The codes that the row begins with.
  void begin(std::int64_t number, Row<T>& row) const {
    if (!start_) return;
    const std::int64_t* const offsets = start_->row_offsets().template const_data_ptr<std::int64_t>();
    const std::int32_t* const ids = start_->feature_ids().template const_data_ptr<std::int32_t>();
    const T* const values = start_values_.template const_data_ptr<T>();
    std::vector<std::pair<T, std::int32_t>> found;
    for (std::int64_t e = offsets[number]; e < offsets[number + 1]; ++e) {
      const T value = values[e] * static_cast<T>(job_.correlations.norm(ids[e])) * row.scale;
      if (std::isfinite(value) && (value > 0 || (value < 0 && !job_.non_negative)))
        found.emplace_back(value, ids[e]);
    }
    if (job_.k > 0 && static_cast<std::int64_t>(found.size()) > job_.k) {
      std::stable_sort(found.begin(), found.end(),
                       [](const auto& a, const auto& b) { return std::fabs(a.first) > std::fabs(b.first); });
      found.resize(static_cast<std::size_t>(job_.k));
    }
    for (const auto& [value, id] : found) {
      row.ids.push_back(id);
      row.values.push_back(value);
    }
  }

  void finish(std::int64_t number, const Row<T>& row) {
    std::vector<std::size_t> order(row.ids.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return row.ids[a] < row.ids[b]; });
    auto& ids = ids_[static_cast<std::size_t>(number)];
    auto& values = values_[static_cast<std::size_t>(number)];
    const double scale = static_cast<double>(row.scale);
    for (const std::size_t i : order) {
      const auto value =
          static_cast<T>(static_cast<double>(row.values[i]) / scale / job_.correlations.norm(row.ids[i]));
      if (value == 0) continue;
      ids.push_back(row.ids[i]);
      values.push_back(value);
    }
    const bool no_gap = !job_.priced();
    objective_.mutable_data_ptr<double>()[number] = row.objective / scale / scale;
    gap_.mutable_data_ptr<double>()[number] =
        no_gap ? std::numeric_limits<double>::quiet_NaN() : std::max(0.0, row.gap) / scale / scale;
    iterations_.mutable_data_ptr<std::int64_t>()[number] = row.iterations;
  }

  Job<T> job_;
  const std::optional<Codes>& start_;
  detail::BlockSolver<T> solver_;
  at::Tensor rows_;
  at::Tensor start_values_;
  std::vector<std::vector<std::int32_t>> ids_;
  std::vector<std::vector<T>> values_;
  at::Tensor objective_;
  at::Tensor gap_;
  at::Tensor iterations_;
};

}  // namespace

const std::vector<Solver>& all() {
  static const std::vector<Solver> solvers = {
      {"omp", "Orthogonal matching pursuit: fits all codes anew after each feature", true},
      {"matching_pursuit", "Matching pursuit: each feature takes what it correlates with", true},
      {"gradient_pursuit", "Gradient pursuit: a step of all codes after each feature", true},
      {"fista", "Accelerated proximal gradient with restart, on working sets", false},
      {"cd", "Coordinate descent on working sets, ended by Newton steps", false},
  };
  return solvers;
}

bool is_pursuit(const std::string& name) {
  const Solver* const solver = find(name);
  return solver != nullptr && solver->pursuit;
}

void check(const Settings& settings, std::int64_t n) {
  const Solver* const solver = find(settings.solver);
  if (solver == nullptr) {
    std::vector<std::string> names;
    for (const Solver& known : all()) names.push_back(known.name);
    refuse("unknown solver", "a solver by name", settings.solver, did_you_mean(settings.solver, names));
  }
  if (!(settings.lambda >= 0) || !std::isfinite(settings.lambda))
    refuse("cannot use lambda", "a finite number of at least 0", fmt::format("{}", settings.lambda));
  if (settings.k < 0 || settings.k > n)
    refuse("cannot use k", fmt::format("0 to {} features", n), fmt::format("{}", settings.k));
  if (!(settings.tolerance > 0) || !std::isfinite(settings.tolerance))
    refuse("cannot use the tolerance", "a finite number above 0", fmt::format("{}", settings.tolerance));
  if (settings.iterations < 0)
    refuse("cannot use iterations", "a number of at least 0", fmt::format("{}", settings.iterations));
  if (!solver->pursuit && settings.lambda == 0) {
    refuse(settings.solver + " needs a price", "lambda above 0", "0",
           "Without a price there is no lasso; a pursuit (omp) takes k instead.");
  }
  if (!solver->pursuit && settings.k > 0) {
    refuse(settings.solver + " takes no k", "k of 0", fmt::format("{}", settings.k),
           "Only pursuits count features; raise lambda for fewer.");
  }
  if (solver->pursuit && settings.lambda == 0 && settings.k == 0)
    refuse(settings.solver + " has nothing to end it", "k or lambda above 0", "both 0");
}

Solution solve(const Problem& problem, const Settings& settings, const std::optional<Codes>& start) {
  check_problem(problem, start);
  check(settings, problem.dictionary.size(0));
  return ops::detail::by_dtype(problem.rows, [&](auto zero) {
    using T = decltype(zero);
    check_finite<T>("dictionary", problem.dictionary.detach().contiguous());
    if (problem.costs.defined()) check_finite<T>("costs", problem.costs.detach().contiguous());
    Batch<T> batch(problem, settings, start);
    batch.solve();
    return batch.solution();
  });
}

}  // namespace regulon::solvers
