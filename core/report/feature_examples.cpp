#include "core/report/feature_examples.h"

#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/measure/nearest.h"

namespace regulon::core::report {
namespace {

using Ids = std::vector<std::int64_t>;

/// Alive features and what lies nearest to them.
class ExamplePicker {
 public:
  ExamplePicker(const FeatureRows& strongest, const at::Tensor& decoder, const Vocabulary& words)
      : strongest_(strongest), decoder_(decoder.detach()), words_(words) {
    const at::Tensor order = strongest.frequency.argsort(/*stable=*/true, 0, /*descending=*/true);
    alive_ = order.narrow(0, 0, (strongest.frequency > 0).sum().item<std::int64_t>());
    if (alive_.size(0) > 0) rows_of_alive_ = unit_directions(decoder_.index_select(0, alive_));
  }

  void pick(Measured::Examples& examples) {
    const auto count = static_cast<std::size_t>(alive_.size(0));
    const std::size_t each = std::min(count, kGroupFeatures);
    add("Most frequent features", ids(0, each), examples);
    if (count >= 3 * kGroupFeatures) add("Features in the middle", ids((count - each) / 2, each), examples);
    if (count > kGroupFeatures) add("Rarest features that fire", ids(count - each, each), examples);
    const bool all = alive_.size(0) <= kNeighbourPool;
    add(all ? "Features with the nearest neighbours"
            : fmt::format("Features with the nearest neighbours, of the {} most frequent", kNeighbourPool),
        neighbours(), examples);
  }

  /// Features that fire on all rows that may be shown, and those of them that have one token there.
  void count_tokens(Measured::Examples& examples) const {
    const at::Tensor full = strongest_.rows.select(1, strongest_.rows.size(1) - 1) >= 0;
    examples.full = full.sum().item<std::int64_t>();
    if (!strongest_.labels.defined()) return;
    const at::Tensor same = (strongest_.labels == strongest_.labels.select(1, 0).unsqueeze(1)).all(1);
    examples.of_token = (full & same).sum().item<std::int64_t>();
  }

 private:
  /// So many alive features from place `first` on in the order of their frequency.
  Ids ids(std::size_t first, std::size_t count) const {
    const auto* const id = alive_.const_data_ptr<std::int64_t>() + first;
    return {id, id + count};
  }

  /// Pairs whose decoder rows have the highest cosines, the nearest pair first.
  Ids neighbours() const {
    const std::int64_t pool = std::min(alive_.size(0), kNeighbourPool);
    if (pool < 2) return {};
    const at::Tensor rows = rows_of_alive_.narrow(0, 0, pool);
    const NearestDirections found = nearest_directions(rows, rows, 1, true);
    const at::Tensor order = found.cosines.select(1, 0).argsort(/*stable=*/true, 0, /*descending=*/true);
    Ids picked;
    std::set<std::int64_t> seen;
    for (std::int64_t i = 0; i < pool && picked.size() < kGroupFeatures; ++i) {
      const auto place = order[i].item<std::int64_t>();
      for (const std::int64_t one : {place, found.keys[place][0].item<std::int64_t>()}) {
        const auto id = alive_[one].item<std::int64_t>();
        if (picked.size() < kGroupFeatures && seen.insert(id).second) picked.push_back(id);
      }
    }
    return picked;
  }

  void add(const std::string& title, const Ids& features, Measured::Examples& examples) const {
    if (features.empty()) return;
    Measured::Examples::Group group{title, {}};
    for (const std::int64_t id : features) group.features.push_back(example(id));
    examples.groups.push_back(std::move(group));
  }

  Measured::Example example(std::int64_t feature) const {
    Measured::Example one;
    one.feature = feature;
    one.frequency = strongest_.frequency[feature].item<double>();
    if (alive_.size(0) > 1) {
      const at::Tensor own = unit_directions(decoder_.narrow(0, feature, 1));
      const NearestDirections near = nearest_directions(own, rows_of_alive_, 2);
      const bool first_is_own = alive_[near.keys[0][0]].item<std::int64_t>() == feature;
      const std::int64_t place = first_is_own ? 1 : 0;
      one.neighbour = alive_[near.keys[0][place]].item<std::int64_t>();
      one.cosine = near.cosines[0][place].item<double>();
    }
    for (std::int64_t i = 0; i < strongest_.rows.size(1); ++i) {
      const auto row = strongest_.rows[feature][i].item<std::int64_t>();
      if (row < 0) break;
      const bool has_token = strongest_.labels.defined();
      one.rows.push_back({row, strongest_.values[feature][i].item<double>(),
                          has_token ? words_.text(strongest_.labels[feature][i].item<std::int64_t>()) : ""});
    }
    return one;
  }

  const FeatureRows& strongest_;
  at::Tensor decoder_;
  const Vocabulary& words_;
  at::Tensor alive_;          ///< [alive] int64: ids, most frequent first
  at::Tensor rows_of_alive_;  ///< [alive, d], of length one
};

}  // namespace

Measured::Examples feature_examples(const FeatureRows& strongest, const at::Tensor& decoder,
                                    std::int64_t rows, const Vocabulary& words) {
  const at::NoGradGuard no_grad;
  Measured::Examples examples;
  examples.rows = rows;
  examples.shown = strongest.rows.size(1);
  examples.tokens = strongest.labels.defined();
  examples.named = examples.tokens && !words.empty();
  ExamplePicker picker(strongest, decoder, words);
  picker.pick(examples);
  picker.count_tokens(examples);
  return examples;
}

}  // namespace regulon::core::report
