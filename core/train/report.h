#pragma once
/// What training says about a step.

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

namespace regulon::core {

/// One loss term on one step.
struct TermReport {
  std::string name;
  double value = 0;     ///< as the term returned it
  double weighted = 0;  ///< times its weight at this step (and `every`, if rescaled)
  bool ran = false;     ///< whether it ran at this step
};

/// One line of metrics.jsonl. All of the batch of that step, unless said otherwise.
struct Report {
  std::int64_t step = 0;        ///< steps done
  std::int64_t steps = 0;       ///< steps the run will have
  std::int64_t first_step = 0;  ///< step at which this process began
  double loss = 0;              ///< sum of the weighted terms
  double fvu = 0;               ///< squared error over squared distance from the batch's mean row
  double l0 = 0;                ///< active features a row
  double dead_share = 0;        ///< share of features silent for the last `dead_after` rows
  double learning_rate = 0;
  double gradient_norm = 0;    ///< before clipping
  double rows_per_second = 0;  ///< since the last report
  double seconds = 0;          ///< since this process began to train
  std::vector<TermReport> terms;
  std::map<std::string, double> figures;  ///< what plugins report, as "NAME.figure"
};

/// The report as one JSON object.
nlohmann::json to_json(const Report& report);

/// The report as figures by tag: "fvu", "terms/NAME/value", "terms/NAME/weighted" of the terms that ran,
/// "figures/NAME.figure".
std::vector<std::pair<std::string, double>> scalars_of(const Report& report);

}  // namespace regulon::core
