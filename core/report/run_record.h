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

/// A run's files, read.
struct RunRecord {
  std::filesystem::path folder;
  std::string name;
  nlohmann::json manifest;
  nlohmann::json summary;               ///< null while the run is not finished
  std::vector<nlohmann::json> metrics;  ///< objects, by step
  std::size_t torn = 0;                 ///< lines of the metrics that a kill tore: the last, or none

  /// The number at `path` ("held_out.fvu") of an object.
  static std::optional<double> number(const nlohmann::json& object, const std::string& path);
  std::optional<double> config_number(const std::string& path) const;
  /// The text at `path` of the config; empty if there is none.
  std::string config_text(const std::string& path) const;
  /// (step, number at `path`) of all metrics that have one.
  std::vector<std::pair<double, double>> curve(const std::string& path) const;
  /// Names of the config's loss terms.
  std::vector<std::string> terms() const;
  /// (step, what a loss term's "value" or "weighted" was) of all metrics that have it.
  std::vector<std::pair<double, double>> term_curve(const std::string& name, const std::string& what) const;
};

/// Reads the run in `folder`. Throws InputError if there is none, or if its summary or its metrics hold what
/// no run writes.
RunRecord read_run_record(const std::filesystem::path& folder);

/// What measuring the finished model gives beyond the summary.
struct Measured {
  /// What was learnt of true features.
  struct Known {
    std::vector<std::int64_t> order;     ///< learnt features as a person reads them, the silent ones last
    std::vector<std::int64_t> alive;     ///< ids
    std::vector<std::int64_t> composed;  ///< ids of combinations
    std::vector<std::int64_t> found;     ///< ids of true features
    std::vector<std::int64_t> missed;
    std::vector<std::int64_t> best;  ///< of each true feature the nearest alive learnt one, -1 without any
    std::vector<float> best_cosine;
    /// The part of the heat map that is drawn, see `choose_cells`.
    std::vector<std::int64_t> drawn;         ///< learnt features, by row
    std::vector<std::int64_t> drawn_truths;  ///< by column
    std::vector<float> cosines;              ///< of these, row by row
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
  /// A row of a feature: where it is strong.
  struct StrongRow {
    std::int64_t row = 0;
    double value = 0;
    std::string token;  ///< its text; empty where the data carry none
  };
  struct Example {
    std::int64_t feature = 0;
    double frequency = 0;
    std::int64_t neighbour = -1;  ///< the alive feature whose decoder row is nearest; -1 without any
    double cosine = 0;            ///< of the two
    std::vector<StrongRow> rows;  ///< strongest first
  };
  /// A handful of features with the rows where they are strongest.
  struct Examples {
    struct Group {
      std::string title;
      std::vector<Example> features;
    };
    std::vector<Group> groups;
    std::int64_t rows = 0;      ///< held-out rows looked at
    std::int64_t shown = 0;     ///< rows of each feature at most
    bool tokens = false;        ///< whether the data carry token ids
    bool named = false;         ///< whether a vocabulary names them
    std::int64_t full = 0;      ///< features that fire on at least `shown` rows
    std::int64_t of_token = 0;  ///< those of them whose `shown` strongest rows are all of one token
  };
  /// Rows on the plane of their first two principal components.
  struct RowMap {
    struct Point {
      double x = 0;
      double y = 0;
      double loss = 0;  ///< in units of the rows' variance
      std::int64_t row = 0;
      std::string token;  ///< empty where the data carry none
    };
    std::vector<Point> points;
    std::int64_t of = 0;                 ///< rows that these are drawn from, evenly
    double shares[2] = {0, 0};           ///< of these rows' variance, along each axis
    std::optional<double> from_nearest;  ///< share of the variance of log loss that the nearest rows tell
  };
  std::int64_t rows = 0;          ///< held-out rows looked at
  std::vector<double> frequency;  ///< [n]: share of these rows in which each feature fires
  std::optional<Known> known;
  std::optional<Losses> losses;
  std::vector<Drop> drops;
  std::optional<Examples> examples;
  std::optional<RowMap> map;
  std::string why_not;      ///< if nothing could be measured
  std::string why_no_more;  ///< if the rows could be looked at, and not all else
};

}  // namespace regulon::core::report
