#include "pair_search.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <regulon/assigned_neighbours.h>

#include <functional>
#include <sstream>
#include <vector>

namespace {

using regulon::ops::Neighbours;

/// Of `found` the pairs at `places` [kept] int64.
Neighbours at_places(const Neighbours& found, const at::Tensor& places) {
  return {found.row.index_select(0, places), found.other.index_select(0, places),
          found.share.index_select(0, places)};
}

/// The pairs of the wanted rows among `n`.
Neighbours of_wanted(const Neighbours& found, const WantedRows& wanted, std::int64_t n) {
  if (!wanted.ids.defined()) return found;
  at::Tensor is_wanted = at::zeros({n}, at::kBool);
  is_wanted.index_fill_(0, wanted.ids, 1);
  return at_places(found, is_wanted.index_select(0, found.row).nonzero().squeeze(1));
}

/// What a search finds, made by the first term of the step that asks for it.
Neighbours shared(const regulon::StepView& step, const std::string& name,
                  const std::function<Neighbours()>& search) {
  const auto& pairs = step.once(name, [&] {
    const Neighbours found = search();
    return std::vector<at::Tensor>{found.row, found.other, found.share};
  });
  return {pairs[0], pairs[1], pairs[2]};
}

}  // namespace

void PairSearch::prepare(regulon::Preparation& preparation, const PairSearchSettings& settings) {
  settings_ = settings;
  if (settings.uses_lists) lists_.prepare(preparation, settings.lists);
  if (settings.pairs == "chunks") audit_.prepare(preparation);
  if (settings.pairs != "unique") return;
  preparation.state("unique.neighbours", assigned_, {preparation.features}, at::kLong);
  preparation.state("unique.figures", figures_, {2}, at::kDouble);
}

Neighbours PairSearch::find(const regulon::StepView& step, const at::Tensor& unit_rows,
                            const WantedRows& wanted) {
  if (settings_.pairs == "chunks") return from_chunks(step, unit_rows, wanted);
  if (settings_.pairs == "unique") return assigned(unit_rows, wanted);
  const Neighbours found =
      settings_.uses_lists ? from_lists(step, unit_rows, wanted) : exact(step, unit_rows, wanted);
  return settings_.pairs == "closest" ? closest_of(found, unit_rows) : found;
}

Neighbours PairSearch::from_chunks(const regulon::StepView& step, const at::Tensor& unit_rows,
                                   const WantedRows& wanted) {
  const Neighbours found =
      regulon::ops::chunk_neighbours(unit_rows, settings_.chunk, step.generator(), settings_.absolute);
  audit_.take(unit_rows, found, settings_.absolute, wanted.first, settings_.chunk);
  return of_wanted(found, wanted, unit_rows.size(0));
}

Neighbours PairSearch::from_lists(const regulon::StepView& step, const at::Tensor& unit_rows,
                                  const WantedRows& wanted) {
  const regulon::NeighbourListSettings& lists = settings_.lists;
  std::ostringstream name;
  name << name_of_search() << " by lists of " << lists.length << " within " << std::hexfloat
       << lists.tolerance << " anew every " << lists.renew_every;
  const Neighbours found = shared(step, name.str(), [&] { return lists_.nearest(unit_rows, wanted.first); });
  return wanted.active ? of_wanted(found, wanted, unit_rows.size(0)) : found;
}

Neighbours PairSearch::assigned(const at::Tensor& unit_rows, const WantedRows& wanted) {
  auto* const figures = figures_.mutable_data_ptr<double>();
  if (static_cast<std::int64_t>(figures[0]) % settings_.renew_every == 0) {
    const regulon::ops::AssignedNeighbours best =
        regulon::ops::assigned_neighbours(unit_rows, settings_.absolute);
    assigned_.fill_(-1);
    assigned_.index_copy_(0, best.row, best.other);
    figures[1] = best.at_most - best.mean;
  }
  figures[0] += 1;
  const at::Tensor row = (assigned_ >= 0).nonzero().squeeze(1);
  return of_wanted({row, assigned_.index_select(0, row),
                    at::ones({row.size(0)}, unit_rows.options().requires_grad(false))},
                   wanted, unit_rows.size(0));
}

Neighbours PairSearch::exact(const regulon::StepView& step, const at::Tensor& unit_rows,
                             const WantedRows& wanted) const {
  return shared(step, name_of_search() + (wanted.active ? " of active" : ""), [&] {
    regulon::ops::NearestSettings nearest;
    nearest.rank = settings_.rank;
    nearest.absolute = settings_.absolute;
    nearest.rows = wanted.ids;
    return regulon::ops::nearest_neighbours(unit_rows, nearest);
  });
}

Neighbours PairSearch::closest_of(const Neighbours& found, const at::Tensor& unit_rows) const {
  if (found.row.numel() == 0) return found;
  const at::Tensor cosines = regulon::ops::pair_cosines(unit_rows.detach(), found.row, found.other);
  const at::Tensor sizes = settings_.absolute ? cosines.abs() : cosines;
  const at::Tensor places = (sizes == sizes.max()).nonzero().squeeze(1);
  Neighbours closest = at_places(found, places);
  closest.share = at::full_like(closest.share, 1.0 / static_cast<double>(places.numel()));
  return closest;
}

std::string PairSearch::name_of_search() const {
  return "nearest " + std::to_string(settings_.rank) + (settings_.absolute ? " absolute " : " signed ") +
         settings_.rows + " rows";
}

std::map<std::string, double> PairSearch::report() const {
  if (settings_.uses_lists) return lists_.report();
  if (settings_.pairs == "unique") return {{"deficit", figures_.const_data_ptr<double>()[1]}};
  return settings_.pairs == "chunks" ? audit_.report() : std::map<std::string, double>();
}
