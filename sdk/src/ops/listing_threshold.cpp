#include <ATen/ops/empty.h>

#include <cmath>
#include <utility>

#include "ops/candidates.h"
#include "ops/listing.h"
#include "ops/window_kernel.h"

namespace regulon::ops::detail {
namespace {

constexpr std::int64_t kGrainRows = 1024;  ///< copying a row's few entries is quick

/// The entries of one row.
template <typename T>
struct RowEntries {
  std::vector<std::int32_t> features;
  std::vector<T> values;
  std::vector<T> near;
};

template <typename T>
class ThresholdLister {
 public:
  ThresholdLister(const Screen<T>& screen, const at::Tensor& thresholds, const Selection& selection,
                  const SelectSettings& settings)
      : screen_(screen),
        thresholds_(thresholds.const_data_ptr<T>()),
        window_(selection.window),
        half_(static_cast<T>(selection.window / 2)),
        kernel_(selection.kernel),
        settings_(settings),
        rows_(static_cast<std::size_t>(screen.rows())) {
    // What the window lets through is bounded by a score that is lower by its half; the slack covers the
    // rounding of score - threshold, which may be at the scale of either.
    std::vector<T> cuts(thresholds_, thresholds_ + screen.features());
    constexpr T kDown = -std::numeric_limits<T>::infinity();
    if (half_ > 0) {
      constexpr T kSlack = 2 * std::numeric_limits<T>::epsilon();
      for (T& cut : cuts) cut = std::nextafter(cut - half_ - kSlack * (std::fabs(cut) + half_), kDown);
    }
    cuts_ = padded(cuts.data(), screen.features(), std::numeric_limits<T>::infinity());
    rules_.feature_cuts = cuts_.data();
    if (half_ > 0) rules_.floor = kDown;
  }

  void find(std::int64_t first, std::int64_t last) {
    const auto make_finder = [&] {
      return CandidateFinder<T>(screen_, best_kernels<T>(), rules_, settings_);
    };
    for_row_blocks(first, last, settings_.block_rows, screen_.features() * screen_.width(), make_finder,
                   [&](CandidateFinder<T>& finder, std::int64_t begin, std::int64_t end) {
                     const ExactCandidates<T> candidates(screen_, begin, finder.find(begin, end));
                     for (std::int64_t row = begin; row < end; ++row) keep(row, candidates, row - begin);
                   });
  }

  std::int64_t entries(std::int64_t rows) const {
    std::int64_t count = 0;
    for (std::int64_t row = 0; row < rows; ++row) count += size_of(row);
    return count;
  }

  Listing listing() const {
    Listing result;
    result.row_offsets = at::empty({screen_.rows() + 1}, at::kLong);
    std::int64_t* const offsets = result.row_offsets.mutable_data_ptr<std::int64_t>();
    offsets[0] = 0;
    for (std::int64_t row = 0; row < screen_.rows(); ++row) offsets[row + 1] = offsets[row] + size_of(row);
    const std::int64_t entries = offsets[screen_.rows()];
    result.feature_ids = at::empty({entries}, at::kInt);
    result.values = at::empty({entries}, screen_.operands().rows.options());
    if (half_ > 0) result.near = at::empty({entries}, result.values.options());
    std::int32_t* const ids = result.feature_ids.mutable_data_ptr<std::int32_t>();
    T* const values = result.values.template mutable_data_ptr<T>();
    T* const near = half_ > 0 ? result.near.template mutable_data_ptr<T>() : nullptr;
    at::parallel_for(0, screen_.rows(), kGrainRows, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        const RowEntries<T>& from = rows_[static_cast<std::size_t>(row)];
        std::copy(from.features.begin(), from.features.end(), ids + offsets[row]);
        std::copy(from.values.begin(), from.values.end(), values + offsets[row]);
        if (near != nullptr) std::copy(from.near.begin(), from.near.end(), near + offsets[row]);
      }
    });
    return result;
  }

 private:
  std::int64_t size_of(std::int64_t row) const {
    return static_cast<std::int64_t>(rows_[static_cast<std::size_t>(row)].features.size());
  }

  T weight_of(T distance) const {
    return static_cast<T>(window_kernel(kernel_, static_cast<double>(distance) / window_));
  }

  /// Keeps of a row's candidates, those at `place`, what is above its threshold or near it.
  void keep(std::int64_t row, const ExactCandidates<T>& candidates, std::int64_t place) {
    RowEntries<T>& entries = rows_[static_cast<std::size_t>(row)];
    const auto last = static_cast<std::size_t>(candidates.offsets[static_cast<std::size_t>(place) + 1]);
    for (auto e = static_cast<std::size_t>(candidates.offsets[static_cast<std::size_t>(place)]); e < last;
         ++e) {
      const std::int32_t feature = candidates.features[e];
      const T z = candidates.z[e];
      const T score = screen_.score(feature, z);
      const bool active = z > 0 && score > thresholds_[feature];
      const T distance = score - thresholds_[feature];
      const bool near = half_ > 0 && std::fabs(distance) <= half_;
      if (!active && !near) continue;
      entries.features.push_back(feature);
      entries.values.push_back(active ? z : T(0));
      if (half_ > 0) entries.near.push_back(near ? weight_of(distance) : T(0));
    }
  }

  const Screen<T>& screen_;
  const T* thresholds_;
  double window_;
  T half_;
  Selection::Kernel kernel_;
  SelectSettings settings_;
  CandidateRules<T> rules_;
  std::vector<T> cuts_;
  std::vector<RowEntries<T>> rows_;
};

}  // namespace

template <typename T>
std::optional<Listing> list_above(const Screen<T>& screen, const at::Tensor& thresholds,
                                  const Selection& selection, double densest,
                                  const SelectSettings& settings) {
  ThresholdLister<T> lister(screen, thresholds, selection, settings);
  const std::int64_t first = std::min(kDensityRows, screen.rows());
  lister.find(0, first);
  const double places = static_cast<double>(first) * static_cast<double>(screen.features());
  if (static_cast<double>(lister.entries(first)) > densest * places) return std::nullopt;
  lister.find(first, screen.rows());
  return lister.listing();
}

template std::optional<Listing> list_above(const Screen<float>&, const at::Tensor&, const Selection&, double,
                                           const SelectSettings&);
template std::optional<Listing> list_above(const Screen<double>&, const at::Tensor&, const Selection&, double,
                                           const SelectSettings&);

}  // namespace regulon::ops::detail
