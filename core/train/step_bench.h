#pragma once
/// What a training step costs, in units of the encoder's own matrix product.

#include "core/plugin/host.h"

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

namespace regulon::core {

/// What is measured. The data are sums of `k` out of 4 * width known features a row, or rows of files.
struct StepBenchSettings {
  std::int64_t batch = 4096;
  std::int64_t width = 384;      ///< d; with files: theirs
  std::int64_t features = 8192;  ///< n
  std::int64_t k = 32;  ///< active features of a row: the activation's k, or where the encoder's bias puts L0
  std::string encoder;
  std::string activation;
  std::vector<std::string> losses;
  std::vector<std::string> overrides;  ///< of the config that these make: "loss.orthogonality.pairs=nearest"
  std::vector<std::string>
      data;  ///< patterns of files to train on; empty: rows made up beforehand, in memory
  std::int64_t threads = 0;
  double dead = 0;  ///< share of the features that are made dead, for AuxK to work on
  std::string precision = "auto";
  std::string device = "auto";
  std::int64_t steps = 15;  ///< measured, after as many as warm everything up
};

/// Milliseconds are medians over the steps unless said otherwise.
struct StepBenchResult {
  double step_ms = 0;  ///< a whole step, from the batch to updated weights
  double floor_ms =
      0;  ///< one float32 product [B, d] · [d, n] in the same process, measured in turn with the steps
  double ratio = 0;    ///< of the two: the median of each step over the product before it
  double mean_ms = 0;  ///< a whole step, on average: what the phases add up to
  std::vector<std::pair<std::string, double>> phases;  ///< milliseconds, on average over the steps
  std::int64_t report_every = 0;                       ///< the default interval of reports, in steps
  double report_share = 0;  ///< what reports at that interval add to the steps, as a share of them
  double l0 = 0;
  double dead_share = 0;  ///< features that have not been active for long, as the run's reports count them
  double peak_mib = 0;    ///< of the process, before the product's own buffer was made
};
nlohmann::json to_json(const StepBenchResult& result);

/// Trains a little and measures. Throws InputError as a config that says the same would.
StepBenchResult bench_step(const StepBenchSettings& settings, PluginHost& host);

}  // namespace regulon::core
