#include "ops/list_rotation.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "ops/support.h"

namespace regulon::ops::detail {
namespace {

constexpr double kRanksPerPeriod = 10;  ///< how often in its life a list is ranked at least
constexpr std::int64_t kLooksPerRotation = 8;
constexpr std::int64_t kRowsAtOnce = 512;  ///< worth a pass over all rows, which each renewal is
constexpr double kShorter = 0.6;

}  // namespace

template <typename T>
void ListRotation<T>::turn() {
  if (calls() == 0) {
    renewal_.renew(first_, n_);
  } else {
    const auto [begin, end] = due();
    rank_others(begin, end);
    const std::vector<T> used = sizes_in_use(begin, end);
    renewal_.renew(begin, end);
    audit(begin, used);
    if (begin < end) figures_[list_cursor] = static_cast<double>(end == n_ ? first_ : end);
    if (begin < end && end == n_) {
      end_rotation();
    } else if (kLooksPerRotation * begin / n_ < kLooksPerRotation * end / n_) {
      hurry();
    }
  }
  figures_[list_calls] += 1;
}

/// The rows whose lists this call makes anew: at every few calls as many as fall due in so many, so that they
/// are worth a pass over all rows; eight times a rotation at least.
template <typename T>
std::pair<std::int64_t, std::int64_t> ListRotation<T>::due() const {
  if (settings_.renew_every > 0) {
    return {calls() % settings_.renew_every == 0 ? first_ : n_, n_};
  }
  const std::int64_t begin = std::max(first_, static_cast<std::int64_t>(figures_[list_cursor]));
  const double period = figures_[list_period];
  const double a_call = static_cast<double>(n_ - first_) / period;
  const double longest = period / static_cast<double>(kLooksPerRotation);
  const auto wait = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(std::min(static_cast<double>(kRowsAtOnce) / a_call, longest)));
  if (calls() % wait != 0) return {begin, begin};
  const auto count = static_cast<std::int64_t>(std::ceil(a_call * static_cast<double>(wait)));
  return {begin, std::min(n_, begin + std::max<std::int64_t>(1, count))};
}

/// Calls from one look at a row's list to the next. Where lists last long, so does the order in them; the
/// audit is of both.
template <typename T>
std::int64_t ListRotation<T>::rank_stride() const {
  return std::max(settings_.rank_every, static_cast<std::int64_t>(figures_[list_period] / kRanksPerPeriod));
}

/// Ranks those whose turn it is, but for [begin, end), which are looked at on their own.
template <typename T>
void ListRotation<T>::rank_others(std::int64_t begin, std::int64_t end) {
  const std::int64_t stride = rank_stride();
  const std::int64_t turn = calls() % stride;
  const auto from = [&](std::int64_t row) { return row + ((turn - row) % stride + stride) % stride; };
  rank(from(first_), begin, stride);
  rank(from(end), n_, stride);
}

/// Orders the lists of every `stride`-th row of [begin, end) by today's cosines.
template <typename T>
void ListRotation<T>::rank(std::int64_t begin, std::int64_t end, std::int64_t stride) {
  if (begin >= end) return;
  const std::int64_t count = (end - begin + stride - 1) / stride;
  const std::int64_t cost = table_.most() * sizes_.width();
  at::parallel_for(0, count, grain_for(cost), [&](std::int64_t first, std::int64_t last) {
    std::vector<T> found(static_cast<std::size_t>(table_.most()));
    std::vector<RankedNeighbour<T>> ranked;
    for (std::int64_t i = first; i < last; ++i) rank_row(begin + i * stride, found, ranked);
  });
}

template <typename T>
void ListRotation<T>::rank_row(std::int64_t row, std::vector<T>& found,
                               std::vector<RankedNeighbour<T>>& ranked) {
  const std::int64_t held = table_.length(row);
  const std::int32_t* const list = table_.list(row);
  sizes_.of(row, list, held, found.data());
  ranked.clear();
  for (std::int64_t i = 0; i < held && !sizes_.is_zero(row); ++i) {
    const T size = found[static_cast<std::size_t>(i)];
    if (sizes_.are_neighbours(list[i], size)) ranked.push_back({size, list[i]});
  }
  table_.keep(row, ranked, sizes_.absolute());
}

/// The size of what this call would have handed out for each row of [begin, end).
template <typename T>
std::vector<T> ListRotation<T>::sizes_in_use(std::int64_t begin, std::int64_t end) const {
  std::vector<T> used(static_cast<std::size_t>(std::max<std::int64_t>(0, end - begin)), T(0));
  const std::int64_t stride = rank_stride();
  const std::int64_t turn = calls() % stride;
  at::parallel_for(begin, end, grain_for(4 * sizes_.width()), [&](std::int64_t first, std::int64_t last) {
    std::vector<T> found(static_cast<std::size_t>(table_.most()));
    for (std::int64_t row = first; row < last; ++row) {
      const bool ranked = row % stride == turn;
      const std::int64_t count = ranked ? table_.length(row) : table_.ties(row);
      if (count == 0) continue;
      sizes_.of(row, ranked ? table_.list(row) : table_.wanted(row), count, found.data());
      const auto wanted = found.begin() + (ranked ? table_.place_of_rank(count) : 0);
      std::nth_element(found.begin(), wanted, found.begin() + count, std::greater<T>());
      used[static_cast<std::size_t>(row - begin)] = *wanted;
    }
  });
  return used;
}

/// Holds what was in use against the new lists.
template <typename T>
void ListRotation<T>::audit(std::int64_t begin, const std::vector<T>& used) {
  for (std::size_t i = 0; i < used.size(); ++i) {
    const std::int64_t row = begin + static_cast<std::int64_t>(i);
    T wanted = 0;
    if (table_.ties(row) > 0) sizes_.of(row, table_.wanted(row), 1, &wanted);
    figures_[list_sum_found] += used[i] == wanted ? 1 : 0;
    figures_[list_sum_deficit] += std::fabs(static_cast<double>(wanted) - static_cast<double>(used[i]));
    figures_[list_audited] += 1;
  }
}

/// Does not wait for the end of a rotation that goes badly.
template <typename T>
void ListRotation<T>::hurry() {
  const double rows = figures_[list_audited] - figures_[list_checked_rows];
  const double deficit = (figures_[list_sum_deficit] - figures_[list_checked_deficit]) / rows;
  figures_[list_checked_rows] = figures_[list_audited];
  figures_[list_checked_deficit] = figures_[list_sum_deficit];
  if (deficit > 2 * settings_.tolerance)
    figures_[list_period] = std::max(kShortestPeriod, kShorter * figures_[list_period]);
}

template <typename T>
void ListRotation<T>::end_rotation() {
  double* const figures = figures_;
  figures[list_recall] = figures[list_sum_found] / figures[list_audited];
  figures[list_deficit] = figures[list_sum_deficit] / figures[list_audited];
  figures[list_sum_found] = figures[list_sum_deficit] = figures[list_audited] = 0;
  figures[list_checked_rows] = figures[list_checked_deficit] = 0;
  figures[list_rotations] += 1;
  if (settings_.renew_every > 0) return;
  if (figures[list_deficit] > settings_.tolerance) {
    figures[list_period] *= kShorter;
  } else if (figures[list_deficit] < settings_.tolerance / 4) {
    figures[list_period] *= 2;
  } else if (figures[list_deficit] < settings_.tolerance / 2) {
    figures[list_period] *= 1.3;
  }
  figures[list_period] = std::clamp(figures[list_period], kShortestPeriod, kLongestPeriod);
}

template class ListRotation<float>;
template class ListRotation<double>;

}  // namespace regulon::ops::detail
