#pragma once
/// What a run's folder says of it.

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace regulon::core::report {

/// A run's files, read. Whatever in them is of another type than expected reads as absent.
struct RunRecord {
  std::filesystem::path folder;
  std::string name;
  nlohmann::json manifest;
  nlohmann::json summary;               ///< null while the run is not finished
  std::vector<nlohmann::json> metrics;  ///< objects, by step
  std::size_t torn = 0;                 ///< lines of the metrics that are no such objects

  /// The number at `path` ("held_out.fvu") of an object.
  static std::optional<double> number(const nlohmann::json& object, const std::string& path);
  std::optional<double> config_number(const std::string& path) const;
  /// The text at `path` of the config; empty if there is none.
  std::string config_text(const std::string& path) const;
  /// (step, number at `path`) of all metrics that have one.
  std::vector<std::pair<double, double>> curve(const std::string& path) const;
};

/// Reads the run in `folder`. Throws InputError if there is none, or if its summary is damaged.
RunRecord read_run_record(const std::filesystem::path& folder);

/// What measuring the finished model gives beyond the summary.
struct Measured {
  /// Learnt x true cosines.
  struct Known {
    std::size_t truths = 0;
    std::vector<float> cosines;          ///< [n, truths], row by row
    std::vector<std::int64_t> order;     ///< learnt features as a person reads them, the silent ones last
    std::vector<std::int64_t> alive;     ///< ids
    std::vector<std::int64_t> composed;  ///< ids of combinations
    std::vector<std::int64_t> found;     ///< ids of true features
    std::vector<std::int64_t> missed;
  };
  /// How the loss lies over the rows, in units of their variance.
  struct Losses {
    std::vector<std::pair<double, double>> quantiles;  ///< share of the rows, loss
    double highest = 0;
    double tail = 0;  ///< share of the whole loss that the worst hundredth of the rows bears
  };
  /// What is left when codes are left out: (L0, FVU), nothing left out first.
  struct Drop {
    std::string kind;  ///< "weakest", "frequent"
    std::int64_t rows = 0;
    std::vector<std::pair<double, double>> points;
  };
  std::int64_t rows = 0;          ///< held-out rows looked at
  std::vector<double> frequency;  ///< [n]: share of these rows in which each feature fires
  std::optional<Known> known;
  std::optional<Losses> losses;
  std::vector<Drop> drops;
  std::string why_not;       ///< if nothing could be measured
  std::string why_no_drops;  ///< if all but (some of) the drops could be
};

}  // namespace regulon::core::report
