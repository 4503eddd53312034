#include "ops/candidates.h"

#include <ATen/ops/empty.h>

#include "ops/select_stopwatch.h"

namespace regulon::ops::detail {
namespace {

/// Vectors of a tile's last row may reach this far beyond it.
constexpr std::int64_t kOverhang = 16;
/// Groups for each wanted feature: the k-th largest of the groups' maxima is a first cut that certainly is
/// not too high.
constexpr std::int64_t kGroupsPerWanted = 4;

}  // namespace

template <typename T>
const std::vector<RowCandidates<T>>& CandidateFinder<T>::find(std::int64_t begin, std::int64_t end) {
  const std::int64_t rows = end - begin;
  // Whole vectors, so that only the last tile reaches into the padding behind the features.
  const std::int64_t tile = std::min((settings_.tile_features + 31) / 32 * 32, screen_.features());
  if (!buffer_.defined() || buffer_.numel() < rows * tile + kOverhang) {
    buffer_ = at::empty({rows * tile + kOverhang}, screen_.operands().rows.options());
  }
  found_.resize(static_cast<std::size_t>(tile + kOverhang));
  candidates_.resize(static_cast<std::size_t>(rows));
  for (RowCandidates<T>& row : candidates_) {
    row.features.clear();
    row.products.clear();
    row.cut = rules_.cut;
    row.limit = rules_.keep + std::max<std::int64_t>(rules_.keep, 64);
    row.settled = 0;
  }
  const T* const products = buffer_.template const_data_ptr<T>();
  for (std::int64_t feature = 0; feature < screen_.features(); feature += tile) {
    const std::int64_t count = std::min(tile, screen_.features() - feature);
    at::Tensor out = buffer_.narrow(0, 0, rows * count).view({rows, count});
    {
      const SelectStopwatch watch(screen_.operands().times, &SelectTimes::product);
      screen_.product(begin, feature, out);
    }
    const SelectStopwatch watch(screen_.operands().times, &SelectTimes::selection);
    const std::array<T, 2> error = screen_.tile_error(feature, count);
    for (std::int64_t row = 0; row < rows; ++row) {
      scan_tile(begin + row, feature, products + row * count, count, error,
                candidates_[static_cast<std::size_t>(row)]);
    }
  }
  if (rules_.keep > 0) {
    for (std::int64_t row = 0; row < rows; ++row)
      raise_cut(begin + row, candidates_[static_cast<std::size_t>(row)]);
  }
  return candidates_;
}

template <typename T>
void CandidateFinder<T>::scan_tile(std::int64_t row, std::int64_t feature, const T* products,
                                   std::int64_t count, const std::array<T, 2>& error,
                                   RowCandidates<T>& candidates) {
  if (screen_.is_wild(row)) {
    for (std::int64_t f = 0; f < count; ++f)
      candidates.features.push_back(static_cast<std::int32_t>(feature + f));
    candidates.products.insert(candidates.products.end(), products, products + count);
    return;
  }
  const ScreenedRow<T> tile = screen_.row_of_tile(row, feature, count, products, error, rules_.feature_cuts);
  if (feature == 0 && rules_.keep > 0) start_cut(tile, candidates);
  const std::int64_t hits = table_.scan(tile, rules_.floor, candidates.cut, found_.data());
  const std::size_t before = candidates.features.size();
  candidates.features.resize(before + static_cast<std::size_t>(hits));
  candidates.products.resize(before + static_cast<std::size_t>(hits));
  std::int32_t* const features = candidates.features.data() + before;
  T* const kept = candidates.products.data() + before;
  for (std::int64_t i = 0; i < hits; ++i) {
    const std::int32_t f = found_[static_cast<std::size_t>(i)];
    features[i] = static_cast<std::int32_t>(feature) + f;
    kept[i] = products[f];
  }
  if (rules_.keep > 0 && candidates.size() > candidates.limit) raise_cut(row, candidates);
}

template <typename T>
void CandidateFinder<T>::start_cut(const ScreenedRow<T>& tile, RowCandidates<T>& candidates) {
  if (tile.count < rules_.keep) return;
  const std::int64_t wanted = std::min(kGroupsPerWanted * rules_.keep, tile.count);
  const std::int64_t groups = (wanted + 15) / 16 * 16;
  scores_.resize(static_cast<std::size_t>(groups + 16));
  const std::int64_t count = table_.group_maxima(tile, groups, scores_.data());
  candidates.cut = std::max(candidates.cut, table_.reached_by(scores_.data(), count, rules_.keep));
}

template <typename T>
void CandidateFinder<T>::raise_cut(std::int64_t row, RowCandidates<T>& candidates) {
  const std::int64_t count = candidates.size();
  if (count <= rules_.keep || count == candidates.settled) return;
  const typename Screen<T>::RowBounds bounds(screen_, row);
  std::int32_t* const features = candidates.features.data();
  T* const products = candidates.products.data();
  scores_.resize(candidates.features.size());
  for (std::int64_t i = 0; i < count; ++i) {
    scores_[static_cast<std::size_t>(i)] = bounds.certain_low(features[i], products[i]);
  }
  candidates.cut = std::max(candidates.cut, table_.reached_by(scores_.data(), count, rules_.keep));
  std::size_t kept = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int32_t feature = features[i];
    const T product = products[i];
    features[kept] = feature;
    products[kept] = product;
    kept += bounds.high(feature, product) >= candidates.cut ? 1 : 0;
  }
  candidates.features.resize(kept);
  candidates.products.resize(kept);
  candidates.settled = static_cast<std::int64_t>(kept);
  // Where bounds or ties leave many, the next look waits until there are as many more.
  candidates.limit = std::max(candidates.limit, 2 * static_cast<std::int64_t>(kept));
}

template class CandidateFinder<float>;
template class CandidateFinder<double>;

}  // namespace regulon::ops::detail
