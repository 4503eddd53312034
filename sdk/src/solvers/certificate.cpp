#include <limits>

#include "solvers/job.h"
#include "solvers/scores.h"

namespace regulon::solvers::detail {
namespace {

/// The largest of one and any atom's correlation over its price; infinity where one without price correlates.
template <typename T>
double excess_among(const Job<T>& job, const Row<T>& row, const std::vector<std::int32_t>& ids) {
  std::vector<T> correlations(ids.size());
  job.correlations.dots(row.residual.data(), ids, correlations.data());
  double excess = 1;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto correlation = static_cast<double>(correlations[i]);
    const auto price = static_cast<double>(row.price(job, ids[i]));
    const double size = job.non_negative ? correlation : std::fabs(correlation);
    if (size <= price) continue;
    excess = std::max(excess, price > 0 ? size / price : std::numeric_limits<double>::infinity());
  }
  return excess;
}

}  // namespace

template <typename T>
void certify_block(const Job<T>& job, std::vector<Row<T>>& rows, typename Correlations<T>::Sweep& sweep) {
  std::vector<std::vector<std::int32_t>> above(rows.size());
  if (job.priced()) {
    std::vector<const T*> residuals;
    residuals.reserve(rows.size());
    for (const Row<T>& row : rows) residuals.push_back(row.residual.data());
    sweep.run(
        residuals, [&](std::size_t row, std::int64_t first, std::int64_t count, const T* products, T error) {
          each_above(scores_of<T>(job, rows[row], first), products, count, -error,
                     [&](std::int64_t i, T) { above[row].push_back(static_cast<std::int32_t>(first + i)); });
        });
  }
  for (std::size_t i = 0; i < rows.size(); ++i)
    certify(job, job.priced() ? excess_among(job, rows[i], above[i]) : 1, rows[i]);
}

template void certify_block<float>(const Job<float>&, std::vector<Row<float>>&, Correlations<float>::Sweep&);
template void certify_block<double>(const Job<double>&, std::vector<Row<double>>&,
                                    Correlations<double>::Sweep&);

}  // namespace regulon::solvers::detail
