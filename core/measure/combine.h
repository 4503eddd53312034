#pragma once
/// Sums of a dictionary's own features: combinations on purpose, known to be such.

#include <ATen/core/Tensor.h>
#include <regulon/codes.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace regulon::core {

/// Which features are added up.
struct CombineSettings {
  std::int64_t count = 0;           ///< combinations; 0: as many as there are, up to 100
  std::int64_t of = 2;              ///< features in each
  std::string choose = "coactive";  ///< "coactive", "nearest", "random" or "given"
  std::uint64_t seed = 0;           ///< of "random"
  /// Of "given": ids of each combination, as read_parts returns them; `count` and `of` are not looked at.
  std::vector<std::vector<std::int64_t>> parts = {};
};

/// A dictionary with combinations behind its own features.
struct Combinations {
  at::Tensor features;     ///< [n + count, d] float32, of length one (zero rows stay so): first the own ones
  at::Tensor combination;  ///< [n + count] uint8: 0 for the dictionary's own, 1 for a combination
  /// [count, of] int64: ids of the features in it, ascending; none is in two, unless they were given. Behind
  /// given ones that are fewer than others' stands -1.
  at::Tensor parts;
  /// [count, of] float32: combination = sum of weights * unit features; equal for all its parts, zero for -1.
  at::Tensor weights;
  /// [count] float64: how the parts belong together, best first; 0 for "random" and "given".
  at::Tensor scores;
};

/// Combinations written down in a text file: one a line, ids of rows of `dictionary` [n, d] between commas or
/// spaces; empty lines say nothing. Ids ascend in what is returned. Throws InputError, which names the line,
/// where one is not two or more different ids in [0, n) of rows that are not zero, and where there is none.
std::vector<std::vector<std::int64_t>> read_parts(const std::filesystem::path& file,
                                                  const at::Tensor& dictionary);

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
/// - "random": any, by the seed;
/// - "given": those of `settings.parts`, in their order, and in as many combinations as one likes.
///
/// Rows of zeros are in none. Throws InputError, with how many there are, where fewer than `count` are found
/// (or none), and where parts are opposite and add up to nothing.
Combinations combine_features(const at::Tensor& dictionary, const CombineSettings& settings,
                              const std::vector<Codes>& codes = {});

}  // namespace regulon::core
