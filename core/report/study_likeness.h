#pragma once
/// How alike the dictionaries are that different seeds of a point find.

#include <filesystem>
#include <string>
#include <vector>

#include "core/plugin/host.h"
#include "core/report/page.h"
#include "core/report/study_record.h"

namespace regulon::core::report {

/// Seeds of a point that are compared with each other at most: three pairs.
inline constexpr std::size_t kLikeSeeds = 3;

/// Points whose seeds are compared at most.
inline constexpr std::size_t kLikePoints = 24;

/// Two seeds of a point, by their decoder rows of features that fire.
struct SeedPair {
  std::int64_t seed_a = 0;
  std::int64_t seed_b = 0;
  double mmcs = 0;    ///< mean of both ways
  double mcc = 0;     ///< mean cosine of features matched one to one
  double random = 0;  ///< MMCS of random directions of the same shape
};

struct PointLikeness {
  std::string name;
  std::vector<SeedPair> pairs;
};

struct Likeness {
  std::vector<PointLikeness> points;
  std::size_t compared = 0;  ///< pairs
  std::size_t too_many =
      0;  ///< pairs of more seeds or points than are compared, or beyond the work that is done
  std::size_t other_data = 0;  ///< pairs of seeds whose data differ
  std::string why_not;         ///< why some that should be compared could not
};

/// Compares the first seeds of each of the first points with each other, as long as their dictionaries'
/// products stay within `work` multiplications. Features count that fire on some of the first held-out rows.
Likeness seed_likeness(const StudyRecord& study, const std::filesystem::path& folder, PluginHost& host,
                       double work = 1e12);

/// The page's part; empty if no point has two seeds.
Section likeness_section(const Likeness& likeness);

}  // namespace regulon::core::report
