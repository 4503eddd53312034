#pragma once
/// Loops over products: what an atom would gain is its correlation (signed codes: without its sign) less its
/// price.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace regulon::solvers::detail {

/// How products become scores.
template <typename T>
struct Scores {
  bool non_negative;
  const T* prices;  ///< of the tile's atoms; null: none
  T scale;          ///< of the prices
};

/// Calls work with two flags as constants, so that loops have no branches.
template <typename T, class Work>
auto by_kind(const Scores<T>& scores, const Work& work) {
  const auto score = [&](auto is_signed, auto is_priced) {
    return [scale = scores.scale, prices = scores.prices, is_signed, is_priced](const T* products,
                                                                                std::int64_t i) {
      T value = products[i];
      if constexpr (decltype(is_signed)::value) value = std::fabs(value);
      if constexpr (decltype(is_priced)::value) value -= prices[i] * scale;
      return value;
    };
  };
  using Yes = std::integral_constant<bool, true>;
  using No = std::integral_constant<bool, false>;
  if (scores.prices == nullptr) {
    return scores.non_negative ? work(score(No{}, No{})) : work(score(Yes{}, No{}));
  }
  return scores.non_negative ? work(score(No{}, Yes{})) : work(score(Yes{}, Yes{}));
}

/// The largest score of the tile.
template <typename T>
T top_score(const Scores<T>& scores, const T* products, std::int64_t count) {
  return by_kind(scores, [&](auto score) {
    constexpr std::int64_t kLanes = 16;
    T tops[kLanes];
    for (T& top : tops) top = std::numeric_limits<T>::lowest();
    std::int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
      for (std::int64_t j = 0; j < kLanes; ++j) {
        const T value = score(products, i + j);
        tops[j] = value > tops[j] ? value : tops[j];
      }
    }
    T top = std::numeric_limits<T>::lowest();
    for (; i < count; ++i) top = std::max(top, score(products, i));
    for (const T lane : tops) top = std::max(top, lane);
    return top;
  });
}

/// Calls found(i, score) for each atom of the tile whose score is above `floor`, ascending.
template <typename T, class Found>
void each_above(const Scores<T>& scores, const T* products, std::int64_t count, T floor, const Found& found) {
  by_kind(scores, [&](auto score) {
    constexpr std::int64_t kLanes = 16;
    std::int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
      int above = 0;
      for (std::int64_t j = 0; j < kLanes; ++j) above |= score(products, i + j) > floor ? 1 : 0;
      if (above == 0) continue;
      for (std::int64_t j = 0; j < kLanes; ++j) {
        if (score(products, i + j) > floor) found(i + j, score(products, i + j));
      }
    }
    for (; i < count; ++i) {
      if (score(products, i) > floor) found(i, score(products, i));
    }
    return 0;
  });
}

/// The scores of a tile in a row.
template <typename T, class AnyJob, class AnyRow>
Scores<T> scores_of(const AnyJob& job, const AnyRow& row, std::int64_t first) {
  return {job.non_negative, job.priced() ? job.prices.data() + first : nullptr, row.scale};
}

}  // namespace regulon::solvers::detail
