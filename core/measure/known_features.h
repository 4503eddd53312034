#pragma once
/// A learnt dictionary held against features that are known to be the true ones.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <vector>

namespace regulon::core {

/// Where the lines are drawn.
struct KnownFeatureLimits {
  double found =
      0.95;  ///< a true feature is found if an alive learnt direction has at least this cosine with it
  /// A learnt direction is a combination if, beside the true feature that it is nearest to, another has a
  /// |cosine| with it above this, not counting what the two true features have in common.
  double composed = 0.35;
};

/// What was learnt of the true features. Only alive features (active on the data at all) count.
struct KnownFeatures {
  at::Tensor cosines;                ///< [n, n_true] float32: cosine of every learnt and every true direction
  std::vector<std::int64_t> alive;   ///< ids of features that are active at least once
  std::vector<std::int64_t> found;   ///< true features that an alive direction matches
  std::vector<std::int64_t> missed;  ///< true features that none matches
  std::vector<std::int64_t> composed;  ///< alive features that are combinations
  double mean_best = 0;  ///< mean over true features of the best cosine of an alive direction (recall MMCS)
  /// Mean |cosine| of all learnt directions, alive or not, matched one to one with true ones as well as can
  /// be (SAELens' mean correlation coefficient; see Matching, whose bound this is where it is not exact).
  double mcc = 0;
  /// How many different true features are the nearest of some learnt direction by |cosine|, over the learnt
  /// ones (SAELens' feature uniqueness).
  double uniqueness = 0;
};

/// Compares dictionary rows [n, d] with true features [n_true, d]; `frequency` [n] tells which are alive.
/// Throws InputError if the widths differ.
KnownFeatures compare_with_known(const at::Tensor& dictionary, const at::Tensor& truth,
                                 const at::Tensor& frequency, const KnownFeatureLimits& limits = {});

/// The comparison as JSON, without the cosines.
nlohmann::json to_json(const KnownFeatures& known);

/// Rows of the heat map in the order in which a person reads it: alive features by the true feature that they
/// are nearest to (best match first), then the silent ones. A permutation of 0 … n - 1.
std::vector<std::int64_t> reading_order(const KnownFeatures& known);

}  // namespace regulon::core
