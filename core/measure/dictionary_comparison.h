#pragma once
/// How alike two dictionaries are, feature by feature, beside what random directions would give.

#include <ATen/core/Tensor.h>
#include <regulon/matching.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/io/named_tensors.h"

namespace regulon::core {

/// Cosine from which matched features count as the same one.
inline constexpr double kPartnerCosine = 0.7;

/// What is looked at.
struct ComparisonSettings {
  std::vector<std::int64_t> ranks = {1, 10, 100};  ///< of the nearest other directions, from 1
  std::uint64_t seed = 0;                          ///< of the random directions
  std::int64_t random_rows = 4096;                 ///< random directions that look for their nearest, at most
  /// Directions that look for their nearest on their own side, about at most: of more, evenly spaced ones.
  std::int64_t own_rows = 16384;
  ops::MatchSettings matching;
};

/// Cosines of directions with their rank-th nearest.
struct RankCosines {
  std::int64_t rank = 1;
  double mean = 0;
  double low = 0;                       ///< a tenth of them are below
  double high = 0;                      ///< a tenth of them are above
  std::vector<std::int64_t> histogram;  ///< counts in bins of 0.02 from -1 to 1, the last with both ends
};

/// One set of directions looking for its nearest in another, or in itself.
struct NearestCosines {
  std::string name;                ///< "a_in_b", "b_in_a", "a_in_a", "b_in_b", "random_in_a", "random_in_b"
  std::vector<RankCosines> ranks;  ///< those that there are enough directions for
};

/// All cosines are of decoder rows, with their sign. "A" and "B" are sets of directions: features whose row
/// is zero have none, and are left out.
struct DictionaryComparison {
  std::int64_t features_a = 0;  ///< with a direction
  std::int64_t features_b = 0;
  std::int64_t zero_a = 0;  ///< left out
  std::int64_t zero_b = 0;
  double mmcs_a = 0;    ///< mean over A of the highest cosine with B: how much of A is in B
  double mmcs_b = 0;    ///< mean over B of the highest cosine with A
  double random_a = 0;  ///< what mmcs_a is for random directions in place of both
  double random_b = 0;
  double unique_a = 0;  ///< how many different rows of B are nearest to some row of A, over the rows of A
  double unique_b = 0;
  double chance_a = 0;  ///< cosine with their nearest in B that 99% of random directions do not exceed
  double chance_b = 0;
  double by_chance_a = 0;  ///< share of A whose nearest in B is no nearer than chance_a
  double by_chance_b = 0;
  std::vector<std::pair<double, double>> matched_share;  ///< cosine, share of pairs that reach it
  ops::Matching matching;                                ///< of directions: see `ids_a` and `ids_b`
  at::Tensor ids_a;  ///< [features_a] int64: which features the directions are of
  at::Tensor ids_b;
  at::Tensor nearest_a;      ///< [features_a, k] float32: cosines with the nearest in B, nearest first
  at::Tensor nearest_ids_a;  ///< [features_a, k] int64: of features of B
  at::Tensor nearest_b;
  at::Tensor nearest_ids_b;
  std::vector<NearestCosines> nearest;
};

/// Compares decoder rows `a` [n, d] and `b` [m, d]. In blocks of rows: nothing is n x m. Throws InputError if
/// the widths differ, a row is not finite, or one side has no direction at all.
DictionaryComparison compare_dictionaries(const at::Tensor& a, const at::Tensor& b,
                                          const ComparisonSettings& settings = {});

nlohmann::json to_json(const DictionaryComparison& comparison);
/// By feature, each name after `prefix`: "a.nearest" [n, k] and "a.nearest_ids", of the features "a.ids";
/// "a.match" [n] int64, the feature of B, -1 without one, and "a.match_cosine"; likewise "b.…", without
/// matches.
NamedTensors feature_tables(const DictionaryComparison& comparison, const std::string& prefix);

}  // namespace regulon::core
