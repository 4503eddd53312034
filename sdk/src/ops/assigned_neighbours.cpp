#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>
#include <c10/core/GradMode.h>
#include <regulon/assigned_neighbours.h>
#include <regulon/matching.h>

#include "ops/support.h"

namespace regulon::ops {
namespace {

constexpr const char* kAssignedNeighbours = "assigned_neighbours";
constexpr std::int64_t kAssignedPasses = 64;

}  // namespace

AssignedNeighbours assigned_neighbours(const at::Tensor& unit_rows, bool absolute) {
  detail::check_floating(kAssignedNeighbours, "unit_rows", unit_rows, 2);
  const at::NoGradGuard without_gradient;
  AssignedNeighbours found;
  found.row = (unit_rows.detach() != 0).any(1).nonzero().squeeze(1);
  if (found.row.size(0) < 2) found.row = found.row.narrow(0, 0, 0);
  found.other = found.row;
  found.share = at::ones({found.row.size(0)}, unit_rows.options().requires_grad(false));
  if (found.row.size(0) == 0) return found;
  const at::Tensor rows = unit_rows.detach().index_select(0, found.row);
  MatchSettings settings;
  settings.absolute = absolute;
  settings.no_fixed_points = true;
  settings.passes = kAssignedPasses;
  settings.tolerance = unit_rows.scalar_type() == at::kDouble ? 1e-10 : 1e-6;
  const Matching matching = match_rows(rows, rows, settings);
  found.other = found.row.index_select(0, matching.other);
  found.mean = matching.mean;
  found.at_most = matching.at_most;
  found.exact = matching.exact;
  return found;
}

}  // namespace regulon::ops
