#pragma once
/// Sums of a dictionary's own features: combinations on purpose, known to be such.

#include <ATen/core/Tensor.h>
#include <regulon/codes.h>

#include <cstdint>
#include <string>
#include <vector>

namespace regulon::core {

/// Which features are added up.
struct CombineSettings {
  std::int64_t count = 100;         ///< combinations
  std::int64_t of = 2;              ///< features in each
  std::string choose = "coactive";  ///< "coactive", "nearest" or "random"
  std::uint64_t seed = 0;           ///< of "random"
};

/// A dictionary with combinations behind its own features.
struct Combinations {
  at::Tensor features;     ///< [n + count, d] float32, of length one (zero rows stay so): first the own ones
  at::Tensor combination;  ///< [n + count] uint8: 0 for the dictionary's own, 1 for a combination
  at::Tensor parts;        ///< [count, of] int64: ids of the features in it, ascending; none is in two
  at::Tensor weights;      ///< [count, of] float32: combination = sum of weights * unit features; all equal
  at::Tensor scores;       ///< [count] float64: how the parts belong together, best first; 0 for "random"
};

/// How often two features are active together: for every feature its best partners, by
/// rows(i and j) / sqrt(rows(i) rows(j)), at least `fewest` rows together.
struct Partners {
  std::vector<std::int64_t> offsets;  ///< [n + 1]
  std::vector<std::int64_t> other;    ///< of each pair, best first
  std::vector<double> score;
};

/// Counts `codes` of consecutive batches over n features, entries above zero. One feature's partners at a
/// time: O(rows * L0²) time, memory of the codes and n; never n x n.
Partners coactive_partners(const std::vector<Codes>& codes, std::int64_t features, std::int64_t most,
                           std::int64_t fewest);

/// Adds up features of `dictionary` [n, d], each in at most one combination, the best first:
///
/// - "coactive": that fire together (see coactive_partners, of at least 10 rows): `codes` of some rows. Every
///   part joins the others by its least score with one of them;
/// - "nearest": of the highest cosines;
/// - "random": any, by the seed.
///
/// Rows of zeros are in none. Throws InputError, with how many there are, where fewer than `count` are found.
Combinations combine_features(const at::Tensor& dictionary, const CombineSettings& settings,
                              const std::vector<Codes>& codes = {});

}  // namespace regulon::core
