#include <ATen/ops/empty.h>

#include "ops/budget.h"
#include "ops/candidates.h"
#include "ops/listing.h"

namespace regulon::ops::detail {
namespace {

/// Chooses the best of a row's candidates; keeps its vectors from row to row. `prices` is null, or has what
/// each feature takes of k.
template <typename T>
class RowChooser {
 public:
  RowChooser(const Screen<T>& screen, std::int64_t k, const T* prices)
      : screen_(screen), k_(k), prices_(prices) {}

  /// Writes what is chosen of candidates [first, last), and its z; returns the number.
  std::int64_t choose(const ExactCandidates<T>& candidates, std::int64_t first, std::int64_t last,
                      std::int32_t* ids, T* values) {
    scores_.clear();
    features_.clear();
    for (auto e = static_cast<std::size_t>(first); e < static_cast<std::size_t>(last); ++e) {
      if (!(candidates.z[e] > 0)) continue;
      scores_.push_back(screen_.score(candidates.features[e], candidates.z[e]));
      if (prices_ != nullptr) features_.push_back(candidates.features[e]);
    }
    const std::int64_t wanted =
        prices_ == nullptr ? k_ : affordable(scores_, features_, prices_, static_cast<double>(k_));
    if (wanted == 0) return 0;
    BestTaker<T> taker(scores_, wanted);
    std::int64_t taken = 0;
    for (auto e = static_cast<std::size_t>(first); e < static_cast<std::size_t>(last); ++e) {
      const std::int32_t feature = candidates.features[e];
      const T z = candidates.z[e];
      if (!(z > 0) || !taker.takes(screen_.score(feature, z))) continue;
      ids[taken] = feature;
      values[taken] = z;
      ++taken;
    }
    return taken;
  }

 private:
  const Screen<T>& screen_;
  std::int64_t k_;
  const T* prices_;
  std::vector<T> scores_;
  std::vector<std::int32_t> features_;
};

/// Rows of `most` places each, of which the first are taken, without the places that are not.
template <typename T>
Listing packed(at::Tensor row_offsets, const at::Tensor& ids, const at::Tensor& values) {
  const std::int64_t rows = ids.size(0);
  const std::int64_t most = ids.size(1);
  const std::int64_t* const offsets = row_offsets.const_data_ptr<std::int64_t>();
  if (offsets[rows] == rows * most) return {row_offsets, ids.view({-1}), values.view({-1}), {}};
  Listing listing{
      row_offsets, at::empty({offsets[rows]}, at::kInt), at::empty({offsets[rows]}, values.options()), {}};
  const std::int32_t* const from_ids = ids.const_data_ptr<std::int32_t>();
  const T* const from_values = values.const_data_ptr<T>();
  std::int32_t* const to_ids = listing.feature_ids.mutable_data_ptr<std::int32_t>();
  T* const to_values = listing.values.template mutable_data_ptr<T>();
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t count = offsets[row + 1] - offsets[row];
    std::copy_n(from_ids + row * most, count, to_ids + offsets[row]);
    std::copy_n(from_values + row * most, count, to_values + offsets[row]);
  }
  return listing;
}

}  // namespace

template <typename T>
Listing list_best_of_rows(const Screen<T>& screen, std::int64_t k, const at::Tensor& prices,
                          const SelectSettings& settings) {
  const std::int64_t rows = screen.rows();
  const bool priced = prices.defined();
  const std::int64_t most =
      std::min(priced ? most_affordable(prices, static_cast<double>(k)) : k, screen.features());
  const T* const price = priced ? prices.const_data_ptr<T>() : nullptr;
  CandidateRules<T> rules;
  rules.keep = most;
  at::Tensor ids = at::empty({rows, most}, at::kInt);
  at::Tensor values = at::empty({rows, most}, screen.operands().rows.options());
  at::Tensor row_offsets = at::empty({rows + 1}, at::kLong);
  std::int64_t* const offsets = row_offsets.mutable_data_ptr<std::int64_t>();
  std::int32_t* const to_ids = ids.mutable_data_ptr<std::int32_t>();
  T* const to_values = values.mutable_data_ptr<T>();
  const auto make_finder = [&] { return CandidateFinder<T>(screen, best_kernels<T>(), rules, settings); };
  for_row_blocks(0, rows, settings.block_rows, screen.features() * screen.width(), make_finder,
                 [&](CandidateFinder<T>& finder, std::int64_t begin, std::int64_t end) {
                   const ExactCandidates<T> candidates(screen, begin, finder.find(begin, end));
                   RowChooser<T> chooser(screen, priced ? k : most, price);
                   for (std::int64_t row = begin; row < end; ++row) {
                     const auto i = static_cast<std::size_t>(row - begin);
                     offsets[row + 1] =
                         chooser.choose(candidates, candidates.offsets[i], candidates.offsets[i + 1],
                                        to_ids + row * most, to_values + row * most);
                   }
                 });
  offsets[0] = 0;
  for (std::int64_t row = 0; row < rows; ++row) offsets[row + 1] += offsets[row];
  return packed<T>(row_offsets, ids, values);
}

template Listing list_best_of_rows(const Screen<float>&, std::int64_t, const at::Tensor&,
                                   const SelectSettings&);
template Listing list_best_of_rows(const Screen<double>&, std::int64_t, const at::Tensor&,
                                   const SelectSettings&);

}  // namespace regulon::ops::detail
