#include <ATen/ops/empty.h>

#include <mutex>
#include <utility>

#include "ops/budget.h"
#include "ops/candidates.h"
#include "ops/listing.h"

namespace regulon::ops::detail {
namespace {

/// Candidates of a run of rows: first with the bounds of their scores, later with what they truly are.
template <typename T>
struct Block {
  std::int64_t begin = 0;
  std::vector<std::int64_t> counts;  ///< of each row
  std::vector<std::int32_t> features;
  std::vector<T> lows;
  std::vector<T> highs;
  std::vector<T> z;
};

template <typename T>
class BatchLister {
 public:
  BatchLister(const Screen<T>& screen, std::int64_t k, const at::Tensor& prices,
              const SelectSettings& settings)
      : screen_(screen),
        prices_(prices),
        budget_(static_cast<double>(k) * static_cast<double>(screen.rows())),
        each_(std::min(prices.defined() ? most_affordable(prices, static_cast<double>(k)) : k,
                       screen.features())),
        settings_(settings) {}

  Listing list() {
    find();
    drop_hopeless();
    return choose();
  }

 private:
  static constexpr T kLowest = std::numeric_limits<T>::lowest();

  /// As many of the best have to be looked at.
  std::int64_t wanted() const { return each_ * screen_.rows(); }

  /// Candidates of the batch under a guessed cut; if it left too few, under a lower one.
  void find() {
    std::vector<T> sample = sample_scores();
    const std::int64_t rows = std::min(settings_.sample_rows, screen_.rows());
    for (const double factor : {1.5, 3.5}) {
      const auto place = static_cast<std::int64_t>(factor * static_cast<double>(each_ * rows));
      if (place < 1 || place > static_cast<std::int64_t>(sample.size())) break;
      const T guess = kth_largest(sample, place);
      scan(guess);
      if (count_lows(guess) >= wanted()) return;
    }
    scan(kLowest);
  }

  /// Scores that a few rows certainly have, the best of each.
  std::vector<T> sample_scores() {
    CandidateRules<T> rules;
    rules.keep = std::min(4 * each_, screen_.features());
    std::vector<T> scores;
    std::mutex appending;
    const std::int64_t rows = std::min(settings_.sample_rows, screen_.rows());
    at::parallel_for(0, 2, 1, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t part = first; part < last; ++part) {
        CandidateFinder<T> finder(screen_, best_kernels<T>(), rules, settings_);
        std::int64_t row = screen_.rows() * part / 2;
        const std::int64_t length = rows * (part + 1) / 2 - rows * part / 2;
        const auto& found = finder.find(row, row + length);
        const std::scoped_lock lock(appending);
        for (const RowCandidates<T>& candidates : found) {
          const typename Screen<T>::RowBounds bounds(screen_, row);
          for (std::size_t i = 0; i < candidates.features.size(); ++i) {
            const T low = bounds.certain_low(candidates.features[i], candidates.products[i]);
            if (low > kLowest) scores.push_back(low);
          }
          ++row;
        }
      }
    });
    return scores;
  }

  /// All candidates whose score could be at least `cut`.
  void scan(T cut) {
    CandidateRules<T> rules;
    rules.cut = cut;
    blocks_.clear();
    std::mutex appending;
    const auto make_finder = [&] { return CandidateFinder<T>(screen_, best_kernels<T>(), rules, settings_); };
    for_row_blocks(0, screen_.rows(), settings_.block_rows, screen_.features() * screen_.width(), make_finder,
                   [&](CandidateFinder<T>& finder, std::int64_t begin, std::int64_t end) {
                     Block<T> block = bounded(finder, begin, end);
                     const std::scoped_lock lock(appending);
                     blocks_.push_back(std::move(block));
                   });
    std::sort(blocks_.begin(), blocks_.end(), [](const auto& a, const auto& b) { return a.begin < b.begin; });
  }

  Block<T> bounded(CandidateFinder<T>& finder, std::int64_t begin, std::int64_t end) const {
    Block<T> block;
    block.begin = begin;
    std::int64_t row = begin;
    for (const RowCandidates<T>& candidates : finder.find(begin, end)) {
      const typename Screen<T>::RowBounds bounds(screen_, row);
      block.counts.push_back(candidates.size());
      for (std::size_t i = 0; i < candidates.features.size(); ++i) {
        block.features.push_back(candidates.features[i]);
        block.lows.push_back(bounds.certain_low(candidates.features[i], candidates.products[i]));
        block.highs.push_back(bounds.high(candidates.features[i], candidates.products[i]));
      }
      ++row;
    }
    return block;
  }

  std::int64_t count_lows(T cut) const {
    std::int64_t count = 0;
    for (const Block<T>& block : blocks_) {
      count += std::count_if(block.lows.begin(), block.lows.end(), [&](T low) { return low >= cut; });
    }
    return count;
  }

  /// Keeps what could be among the best, and computes what it is.
  void drop_hopeless() {
    std::vector<T> lows;
    for (const Block<T>& block : blocks_) lows.insert(lows.end(), block.lows.begin(), block.lows.end());
    T cut = kLowest;
    if (static_cast<std::int64_t>(lows.size()) >= wanted() && wanted() > 0) cut = kth_largest(lows, wanted());
    at::parallel_for(0, static_cast<std::int64_t>(blocks_.size()), 1,
                     [&](std::int64_t begin, std::int64_t end) {
                       for (std::int64_t i = begin; i < end; ++i)
                         make_exact(blocks_[static_cast<std::size_t>(i)], cut);
                     });
  }

  void make_exact(Block<T>& block, T cut) const {
    std::size_t from = 0;
    std::size_t kept = 0;
    std::vector<std::int64_t> offsets{0};
    for (std::int64_t& count : block.counts) {
      const std::size_t first = kept;
      const std::size_t last = from + static_cast<std::size_t>(count);
      for (; from < last; ++from) {
        if (block.highs[from] >= cut) block.features[kept++] = block.features[from];
      }
      count = static_cast<std::int64_t>(kept - first);
      offsets.push_back(static_cast<std::int64_t>(kept));
    }
    block.features.resize(kept);
    block.z = screen_.exact(block.begin, offsets, block.features);
  }

  Listing choose() const {
    std::vector<T> scores;
    std::vector<std::int32_t> features;
    for (const Block<T>& block : blocks_) {
      for (std::size_t i = 0; i < block.z.size(); ++i) {
        if (!(block.z[i] > 0)) continue;
        scores.push_back(screen_.score(block.features[i], block.z[i]));
        if (prices_.defined()) features.push_back(block.features[i]);
      }
    }
    const std::int64_t entries = prices_.defined()
                                     ? affordable(scores, features, prices_.const_data_ptr<T>(), budget_)
                                     : std::min(wanted(), static_cast<std::int64_t>(scores.size()));
    Listing listing{at::empty({screen_.rows() + 1}, at::kLong),
                    at::empty({entries}, at::kInt),
                    at::empty({entries}, screen_.operands().rows.options()),
                    {}};
    std::int64_t* offset = listing.row_offsets.mutable_data_ptr<std::int64_t>();
    std::int32_t* const ids = listing.feature_ids.mutable_data_ptr<std::int32_t>();
    T* const values = listing.values.template mutable_data_ptr<T>();
    if (entries == 0) {
      listing.row_offsets.zero_();
      return listing;
    }
    BestTaker<T> taker(scores, entries);
    std::int64_t taken = 0;
    *offset = 0;
    for (const Block<T>& block : blocks_) {
      std::size_t i = 0;
      for (const std::int64_t count : block.counts) {
        for (const std::size_t last = i + static_cast<std::size_t>(count); i < last; ++i) {
          if (!(block.z[i] > 0) || !taker.takes(screen_.score(block.features[i], block.z[i]))) continue;
          ids[taken] = block.features[i];
          values[taken++] = block.z[i];
        }
        *++offset = taken;
      }
    }
    return listing;
  }

  const Screen<T>& screen_;
  at::Tensor prices_;
  double budget_;
  std::int64_t each_;
  SelectSettings settings_;
  std::vector<Block<T>> blocks_;
};

}  // namespace

template <typename T>
Listing list_best_of_batch(const Screen<T>& screen, std::int64_t k, const at::Tensor& prices,
                           const SelectSettings& settings) {
  return BatchLister<T>(screen, k, prices, settings).list();
}

template Listing list_best_of_batch(const Screen<float>&, std::int64_t, const at::Tensor&,
                                    const SelectSettings&);
template Listing list_best_of_batch(const Screen<double>&, std::int64_t, const at::Tensor&,
                                    const SelectSettings&);

}  // namespace regulon::ops::detail
