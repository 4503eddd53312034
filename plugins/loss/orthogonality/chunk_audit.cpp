#include "chunk_audit.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <vector>

namespace {

using regulon::ops::Neighbours;

constexpr std::int64_t kMostRowsPerCall = 64;
/// Rows of a chunk to one that is audited, which is held against all: so the audit is the lesser part.
constexpr std::int64_t kRowsToOneAudited = 16;
constexpr double kWindow = 1024;  ///< rows over which the figures are averaged

/// The places of numbers in `figures_`.
enum ChunkFigure : std::int64_t {
  cursor,  ///< the row to begin with, counted from the first that is looked at
  sum_found,
  sum_deficit,
  audited,
  recall,
  deficit,
  windows,
  figure_count
};

/// The first neighbour of `row`, or -1.
std::int64_t neighbour_of(std::int64_t row, const Neighbours& neighbours) {
  const auto* const begin = neighbours.row.const_data_ptr<std::int64_t>();
  const auto* const end = begin + neighbours.row.size(0);
  const auto* const at = std::lower_bound(begin, end, row);
  if (at == end || *at != row) return -1;
  return neighbours.other.const_data_ptr<std::int64_t>()[at - begin];
}

/// [pairs] double: the sizes of the cosines of unit rows.
std::vector<double> sizes_of(const at::Tensor& unit_rows, const std::vector<std::int64_t>& row,
                             const std::vector<std::int64_t>& other, bool absolute) {
  const at::Tensor left = unit_rows.index_select(0, at::tensor(row, at::kLong)).to(at::kDouble);
  const at::Tensor right = unit_rows.index_select(0, at::tensor(other, at::kLong)).to(at::kDouble);
  const at::Tensor cosines = (left * right).sum(1);
  const at::Tensor sizes = (absolute ? cosines.abs() : cosines).contiguous();
  return {sizes.const_data_ptr<double>(), sizes.const_data_ptr<double>() + sizes.size(0)};
}

}  // namespace

void ChunkAudit::prepare(regulon::Preparation& preparation) {
  preparation.state("chunks.figures", figures_, {figure_count}, at::kDouble);
}

void ChunkAudit::take(const at::Tensor& unit_rows, const Neighbours& found, bool absolute, std::int64_t first,
                      std::int64_t chunk) {
  const at::Tensor rows = unit_rows.detach();
  const std::int64_t n = rows.size(0) - first;
  auto* const figures = figures_.mutable_data_ptr<double>();
  const std::int64_t count =
      std::min(n, std::clamp<std::int64_t>(chunk / kRowsToOneAudited, 1, kMostRowsPerCall));
  const auto begin = static_cast<std::int64_t>(figures[cursor]);
  figures[cursor] = static_cast<double>((begin + count) % n);

  regulon::ops::NearestSettings settings;
  settings.absolute = absolute;
  settings.rows = std::get<0>(at::sort(at::arange(begin, begin + count, at::kLong).remainder(n))) + first;
  const Neighbours truly = regulon::ops::nearest_neighbours(rows, settings);
  std::vector<std::int64_t> row;
  std::vector<std::int64_t> nearest;
  std::vector<std::int64_t> in_chunk;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t one = settings.rows.const_data_ptr<std::int64_t>()[i];
    const std::int64_t other = neighbour_of(one, truly);
    if (other < 0) continue;
    row.push_back(one);
    nearest.push_back(other);
    in_chunk.push_back(neighbour_of(one, found));
  }
  std::vector<std::int64_t> handed_out = in_chunk;
  std::replace(handed_out.begin(), handed_out.end(), std::int64_t{-1}, std::int64_t{0});
  const std::vector<double> best = sizes_of(rows, row, nearest, absolute);
  const std::vector<double> size = sizes_of(rows, row, handed_out, absolute);
  for (std::size_t i = 0; i < row.size(); ++i) {
    const double shortfall = std::max(0.0, best[i] - (in_chunk[i] < 0 ? 0.0 : size[i]));
    figures[sum_found] += in_chunk[i] >= 0 && shortfall == 0 ? 1 : 0;
    figures[sum_deficit] += shortfall;
    figures[audited] += 1;
  }
  if (figures[audited] < kWindow) return;
  figures[recall] = figures[sum_found] / figures[audited];
  figures[deficit] = figures[sum_deficit] / figures[audited];
  figures[sum_found] = figures[sum_deficit] = figures[audited] = 0;
  figures[windows] += 1;
}

std::map<std::string, double> ChunkAudit::report() const {
  const auto* const figures = figures_.const_data_ptr<double>();
  if (figures[windows] > 0) return {{"recall", figures[recall]}, {"deficit", figures[deficit]}};
  if (figures[audited] == 0) return {};
  return {{"recall", figures[sum_found] / figures[audited]},
          {"deficit", figures[sum_deficit] / figures[audited]}};
}
