#include "core/report/row_map.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cdist.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/mm.h>
#include <c10/core/GradMode.h>

#include <algorithm>

namespace regulon::core::report {
namespace {

constexpr std::int64_t kNeighbours = 10;  ///< on the map, that tell of a row's loss
constexpr std::int64_t kEnoughRows = 100;
constexpr double kLeastLoss = 1e-12;  ///< losses have logarithms

/// The first two principal components [d, 2] of centred rows [m, d], and their variances [2] times m.
std::pair<at::Tensor, at::Tensor> components_of(const at::Tensor& centred) {
  // The smaller of the two Gram matrices has the same eigenvalues.
  const bool wide = centred.size(1) > centred.size(0);
  const at::Tensor gram = wide ? at::mm(centred, centred.t()) : at::mm(centred.t(), centred);
  const auto [values, vectors] = at::linalg_eigh(gram);
  const std::int64_t all = values.size(0);
  const at::Tensor last = vectors.narrow(1, all - 2, 2).flip(1);
  at::Tensor components = wide ? at::mm(centred.t(), last) : last;
  components =
      components / at::linalg_vector_norm(components, 2, at::IntArrayRef({0}), true).clamp_min(1e-30);
  const at::Tensor largest = components.gather(0, components.abs().argmax(0, true));
  return {components * (1 - 2 * (largest < 0).to(at::kDouble)),
          values.narrow(0, all - 2, 2).flip(0).clamp_min(0)};
}

/// The share of the variance of log losses [m] that the mean of a row's nearest ones on the map explains.
std::optional<double> told_by_nearest(const at::Tensor& places, const at::Tensor& logarithms) {
  if (places.size(0) < kEnoughRows) return std::nullopt;
  at::Tensor distances = at::cdist(places, places);
  distances.fill_diagonal_(INFINITY);
  const at::Tensor nearest = std::get<1>(distances.topk(kNeighbours, 1, /*largest=*/false));
  const at::Tensor told = logarithms.index({nearest}).mean(1);
  const double whole = (logarithms - logarithms.mean()).square().sum().item<double>();
  if (whole <= 0) return std::nullopt;
  return 1 - (logarithms - told).square().sum().item<double>() / whole;
}

/// Rows of a map as they come.
struct Picked {
  std::vector<at::Tensor> rows;
  std::vector<at::Tensor> losses;
  std::vector<at::Tensor> places;
  std::vector<at::Tensor> tokens;
};

Picked pick_rows(Run& run, Source& source, std::int64_t wanted) {
  const std::int64_t stride = (wanted + kMapPoints - 1) / kMapPoints;
  Picked picked;
  for (std::int64_t first = 0; first < wanted; first += kEvaluationBatch) {
    const std::int64_t count = std::min(kEvaluationBatch, wanted - first);
    const std::int64_t skipped = (stride - first % stride) % stride;
    if (skipped >= count) continue;
    const at::Tensor places = at::arange(skipped, count, stride, at::TensorOptions(at::kLong));
    const at::Tensor rows = source.held_out(first, count).index_select(0, places);
    const at::Tensor rebuilt = run.decode(run.encode(rows));
    picked.losses.push_back(row_losses(rows, rebuilt, 1));
    picked.rows.push_back(rows);
    picked.places.push_back(places + first);
    const at::Tensor tokens = source.held_out_token_ids(first, count);
    if (tokens.defined()) picked.tokens.push_back(tokens.index_select(0, places));
  }
  return picked;
}

}  // namespace

Measured::RowMap principal_map(const at::Tensor& rows, const at::Tensor& losses) {
  const at::NoGradGuard no_grad;
  const at::Tensor precise = rows.to(at::kDouble);
  const at::Tensor centred = precise - precise.mean(0, true);
  const auto [components, variances] = components_of(centred);
  const at::Tensor places = at::mm(centred, components).contiguous();
  const double whole = centred.square().sum().item<double>();
  Measured::RowMap map;
  const double unit = whole > 0 ? whole / static_cast<double>(rows.size(0)) : 1;
  for (std::int64_t axis = 0; axis < 2; ++axis)
    map.shares[axis] = whole > 0 ? variances[axis].item<double>() / whole : 0;
  const at::Tensor shares = (losses / unit).contiguous();
  const auto* const place = places.const_data_ptr<double>();
  const auto* const loss = shares.const_data_ptr<double>();
  for (std::int64_t i = 0; i < rows.size(0); ++i)
    map.points.push_back({place[2 * i], place[2 * i + 1], loss[i], 0, ""});
  map.from_nearest = told_by_nearest(places, shares.clamp_min(kLeastLoss).log());
  return map;
}

std::optional<Measured::RowMap> row_map(Run& run, Source& source, const Vocabulary& words) {
  const at::NoGradGuard no_grad;
  const std::int64_t wanted = std::min(kEvaluationRows, source.held_out_rows());
  if (wanted < 3 || source.width() < 2) return std::nullopt;
  const Picked picked = pick_rows(run, source, wanted);
  Measured::RowMap map = principal_map(at::cat(picked.rows), at::cat(picked.losses));
  map.of = wanted;
  const at::Tensor places = at::cat(picked.places);
  const at::Tensor tokens = picked.tokens.empty() ? at::Tensor() : at::cat(picked.tokens);
  for (std::size_t i = 0; i < map.points.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i);
    map.points[i].row = places[at].item<std::int64_t>();
    if (tokens.defined()) map.points[i].token = words.text(tokens[at].item<std::int64_t>());
  }
  return map;
}

}  // namespace regulon::core::report
