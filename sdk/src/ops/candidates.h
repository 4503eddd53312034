#pragma once
/// From a screen to candidates: every feature that could still be listed, given how far the product may be
/// off.

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "grain.h"
#include "kernel_table.h"
#include "ops/screen.h"
#include "ops/select_settings.h"

namespace regulon::ops::detail {

/// The features of a row that could still be listed, ascending, and their products.
template <typename T>
struct RowCandidates {
  std::vector<std::int32_t> features;
  std::vector<T> products;
  T cut = std::numeric_limits<T>::lowest();  ///< scores below are certainly not wanted
  std::int64_t limit = 0;                    ///< number of candidates at which the cut is raised again
  std::int64_t settled = 0;                  ///< that many were left when it was last raised

  std::int64_t size() const { return static_cast<std::int64_t>(features.size()); }
};

/// The candidates of a run of rows, one row after the other, and their z as defined.
template <typename T>
struct ExactCandidates {
  std::vector<std::int64_t> offsets;  ///< [rows + 1]: where those of a row begin
  std::vector<std::int32_t> features;
  std::vector<T> z;

  ExactCandidates(const Screen<T>& screen, std::int64_t row, const std::vector<RowCandidates<T>>& rows)
      : offsets{0} {
    std::size_t count = 0;
    for (const RowCandidates<T>& candidates : rows) count += candidates.features.size();
    features.reserve(count);
    for (const RowCandidates<T>& candidates : rows) {
      features.insert(features.end(), candidates.features.begin(), candidates.features.end());
      offsets.push_back(static_cast<std::int64_t>(features.size()));
    }
    z = screen.exact(row, offsets, features);
  }
};

/// What a candidate is.
template <typename T>
struct CandidateRules {
  T floor = T(0);                            ///< z has to be above
  T cut = std::numeric_limits<T>::lowest();  ///< the score has to be at least this
  const T* feature_cuts = nullptr;           ///< or at least its own cut: padded [m + 16]
  std::int64_t keep = 0;  ///< at least 1: only the `keep` best scores of each row are wanted
};

/// Finds the candidates of blocks of rows; one for each thread.
template <typename T>
class CandidateFinder {
 public:
  CandidateFinder(const Screen<T>& screen, const KernelTable<T>& table, const CandidateRules<T>& rules,
                  const SelectSettings& settings)
      : screen_(screen), table_(table), rules_(rules), settings_(settings) {}

  /// Candidates of the rows [begin, end), in order; valid until the next call.
  const std::vector<RowCandidates<T>>& find(std::int64_t begin, std::int64_t end);

 private:
  void scan_tile(std::int64_t row, std::int64_t feature, const T* products, std::int64_t count,
                 const std::array<T, 2>& error, RowCandidates<T>& candidates);
  void start_cut(const ScreenedRow<T>& tile, RowCandidates<T>& candidates);
  void raise_cut(std::int64_t row, RowCandidates<T>& candidates);

  const Screen<T>& screen_;
  const KernelTable<T>& table_;
  CandidateRules<T> rules_;
  SelectSettings settings_;
  at::Tensor buffer_;
  std::vector<RowCandidates<T>> candidates_;
  std::vector<std::int32_t> found_;
  std::vector<T> scores_;
};

/// Calls work(finder, begin, end) on blocks of the screen's rows, at most `most` each, so that all threads
/// have as much to do; `make_finder` is called once for each thread. `row_cost`: multiply-adds of a row's
/// product.
template <typename MakeFinder, typename Work>
void for_row_blocks(std::int64_t first, std::int64_t last, std::int64_t most, std::int64_t row_cost,
                    const MakeFinder& make_finder, const Work& work) {
  constexpr std::int64_t kProductSpeed =
      16;  // a matrix product's multiply-adds are that much quicker than a gather's
  if (first >= last) return;
  const std::int64_t count = last - first;
  const std::int64_t threads = pieces_for(count * row_cost / kProductSpeed, at::get_num_threads());
  std::int64_t blocks = (count + most - 1) / most;
  blocks = (blocks + threads - 1) / threads * threads;
  blocks = std::min(blocks, std::max<std::int64_t>(1, count / 8));
  at::parallel_for(0, blocks, threads == 1 ? blocks : 1, [&](std::int64_t begin, std::int64_t end) {
    auto finder = make_finder();
    for (std::int64_t block = begin; block < end; ++block) {
      work(finder, first + count * block / blocks, first + count * (block + 1) / blocks);
    }
  });
}

/// The k-th largest of `numbers`, which are reordered so that the k largest come first; k from 1 to their
/// number.
template <typename T>
T kth_largest(std::vector<T>& numbers, std::int64_t k) {
  const auto kth = numbers.begin() + (k - 1);
  std::nth_element(numbers.begin(), kth, numbers.end(), std::greater<T>());
  return *kth;
}

/// Takes, in order, the k best of those that are offered: the scores above a cut, and of those that equal it
/// the first.
template <typename T>
class BestTaker {
 public:
  /// `scores`: of all that may be taken; reordered.
  BestTaker(std::vector<T>& scores, std::int64_t k) {
    if (static_cast<std::int64_t>(scores.size()) <= k) return;
    cut_ = kth_largest(scores, k);
    const auto above =
        std::count_if(scores.begin(), scores.begin() + k, [&](T score) { return score > cut_; });
    equals_ = k - above;
  }

  /// Whether the next, of which z > 0 is known, is taken.
  bool takes(T score) { return score > cut_ || (score == cut_ && equals_-- > 0); }

 private:
  T cut_ = -std::numeric_limits<T>::infinity();
  std::int64_t equals_ = std::numeric_limits<std::int64_t>::max();
};

}  // namespace regulon::ops::detail
