#pragma once
/// A learnt dictionary held against features that are known to be the true ones.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "core/io/named_tensors.h"

namespace regulon::core {

/// Where the lines are drawn.
struct KnownFeatureLimits {
  double found =
      0.95;  ///< a true feature is found if an alive learnt direction has at least this cosine with it
  /// A learnt direction is a combination if, beside the true feature that it is nearest to, another has a
  /// |cosine| with it above this, not counting what the two true features have in common.
  double composed = 0.35;
};

/// Every learnt direction beside every true one. In blocks: nothing is n x n_true.
struct KnownDirections {
  at::Tensor learnt;          ///< [n, d], as given
  at::Tensor truth;           ///< [n_true, d], as given
  at::Tensor nearest;         ///< [n] int64: the true feature of the highest cosine
  at::Tensor nearest_cosine;  ///< [n] float32
  at::Tensor matched;         ///< [n] int64: the true feature of the highest |cosine|
  at::Tensor composed;        ///< [n] bool: whether it is a combination
  at::Tensor best;            ///< [n_true] int64: the learnt direction of the highest cosine
  at::Tensor best_cosine;     ///< [n_true] float32
};

/// Holds dictionary rows [n, d] against true features [n_true, d]. Throws InputError if the widths differ or
/// one of the two has no rows.
KnownDirections known_directions(const at::Tensor& dictionary, const at::Tensor& truth,
                                 const KnownFeatureLimits& limits = {});

/// What was learnt of the true features. Only alive features (active on the data at all) count.
struct KnownFeatures {
  KnownDirections directions;          ///< `best` and `best_cosine` among alive ones; -1 and 0 without any
  std::vector<std::int64_t> alive;     ///< ids of features that are active at least once
  std::vector<std::int64_t> found;     ///< true features that an alive direction matches
  std::vector<std::int64_t> missed;    ///< true features that none matches
  std::vector<std::int64_t> composed;  ///< alive features that are combinations
  double mean_best = 0;  ///< mean over true features of the best cosine of an alive direction (recall MMCS)
  /// Mean |cosine| of all learnt directions, alive or not, matched one to one with true ones as well as can
  /// be (SAELens' mean correlation coefficient; see Matching, whose bound this is where it is not exact).
  double mcc = 0;
  /// How many different true features are the nearest of some learnt direction by |cosine|, over the learnt
  /// ones (SAELens' feature uniqueness).
  double uniqueness = 0;

  std::int64_t features() const { return directions.learnt.size(0); }
  std::int64_t truths() const { return directions.truth.size(0); }
};

/// Draws the conclusions; `frequency` [n] tells which features are alive.
KnownFeatures compare_with_known(KnownDirections directions, const at::Tensor& frequency,
                                 const KnownFeatureLimits& limits = {});

/// Cosines [learnt, true] float32 of the learnt directions and the true features of these ids.
at::Tensor known_cosines(const KnownFeatures& known, const std::vector<std::int64_t>& learnt,
                         const std::vector<std::int64_t>& truth);
/// The same of all of them, n x n_true: for few.
at::Tensor known_cosines(const KnownFeatures& known);

/// The comparison as JSON, without what is by feature.
nlohmann::json to_json(const KnownFeatures& known);

/// By learnt feature "known.nearest", "known.nearest_cosine", "known.matched", "known.composed", and by true
/// one "known.best", "known.best_cosine" (see KnownDirections); "known.cosines" [n, n_true] if they are no
/// more than kTableCosines.
NamedTensors known_table(const KnownFeatures& known);
/// 64 MB.
inline constexpr std::int64_t kTableCosines = std::int64_t{1} << 24;

/// Rows of the heat map in the order in which a person reads it: alive features by the true feature that they
/// are nearest to (best match first), then the silent ones. A permutation of 0 … n - 1.
std::vector<std::int64_t> reading_order(const KnownFeatures& known);

}  // namespace regulon::core
