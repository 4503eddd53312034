#pragma once
/// The facade: train with callbacks, open a run, evaluate it. Front ends need nothing else.

#include "core/config/config.h"
#include "core/data/normalisation.h"
#include "core/data/source.h"
#include "core/measure/coherence.h"
#include "core/measure/evaluation.h"
#include "core/measure/feature_rows.h"
#include "core/measure/firing.h"
#include "core/measure/known_features.h"
#include "core/measure/row_losses.h"
#include "core/model/model.h"
#include "core/plugin/host.h"
#include "core/train/report.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace regulon::core {

/// What a front end hears while a run trains. Every member may be empty.
struct TrainCallbacks {
  std::function<void(std::int64_t first_step)>
      on_start;                                  ///< everything is open; training begins at this step
  std::function<void(const Report&)> on_report;  ///< every [run] report_every steps, and after the last
  std::function<void(const std::filesystem::path&)> on_checkpoint;
  std::function<bool()> stop;  ///< asked after every step: true writes a checkpoint and returns
};

/// How a run was evaluated: on held-out rows, and against the true features where the data knows them.
struct RunEvaluation {
  Evaluation held_out;
  std::optional<KnownFeatures> known;
  std::optional<Firing> firing;  ///< where the data knows which true features are active
  /// Of |x - xhat|^2, in units of the rows' mean squared distance from their mean: the mean is the FVU.
  LossSpread losses;
  std::optional<Coherence> coherence;  ///< of the dictionary's rows, where somebody asked for it
};

/// Hears the losses of the next held-out rows: |x - xhat|^2 [B] double, of rows as stored.
using RowListener = std::function<void(const at::Tensor& losses)>;

/// What came of a run.
struct TrainResult {
  bool finished = false;  ///< false if `stop` ended it
  Report last;
  RunEvaluation evaluation;  ///< of finished runs
};

/// Trains `config` into `folder`, or goes on where a checkpoint there stops. Throws InputError before the
/// first step for anything wrong with input, RunError for what fails on the way; the last checkpoint is whole
/// in every case.
TrainResult train(const Config& config, const PluginHost& host, const std::filesystem::path& folder,
                  bool resume, const TrainCallbacks& callbacks);

/// What names the data of `config`, which is opened for that: equal fingerprints, equal data. Throws like
/// `train` for data that cannot be used.
std::string data_fingerprint(const Config& config);
/// The manifest that a run of `config` on data of that fingerprint has. Runs whose manifests do not differ
/// (see manifest_differences) are the same run.
nlohmann::json run_manifest(const Config& config, const PluginHost& host, const std::string& fingerprint);

/// A finished run, opened for measuring.
class Run {
 public:
  /// Reads manifest and weights of `folder`. Throws InputError if it holds no finished run.
  Run(const std::filesystem::path& folder, PluginHost& host);
  const std::filesystem::path& folder() const { return folder_; }
  const Config& config() const { return config_; }
  Model& model() { return *model_; }
  const Normalisation& normalisation() const { return normalisation_; }
  const at::Tensor& costs() const { return costs_; }  ///< [n], as after the last step
  /// Codes of rows [B, d] as stored.
  Codes encode(const at::Tensor& rows);
  /// What codes are rebuilt to [B, d], as rows are stored.
  at::Tensor decode(const Codes& codes) const;
  /// Throws InputError unless rows of that width are the run's.
  void require_width(std::int64_t width) const;
  /// The encoder's direction per feature, [n, d]; undefined for an encoder that has none.
  at::Tensor encoder_directions();
  /// What the run's activation chooses by, after its last step: at inference, or as it did in training.
  Selection selection(bool training);
  /// Whether the run has data of its own; an imported one has none.
  bool has_data() const { return !config_.losses.empty(); }
  /// The run's own data source, opened. Throws InputError for an imported run, which has none.
  Source& source();
  /// Evaluates on the held-out rows of `source`, at most `rows` of them; true features from the source, or
  /// `truth` if given.
  RunEvaluation evaluate(Source& source, std::int64_t rows, const at::Tensor& truth = {},
                         const RowListener& listener = {});
  /// How near the dictionary's rows lie to each other.
  Coherence coherence() const;
  /// The `k` rows in which each feature is most strongly active, of at most `rows` held-out rows of `source`;
  /// labels are token ids, where the source has them.
  FeatureRows top_rows(Source& source, std::int64_t rows, std::int64_t k);

 private:
  std::filesystem::path folder_;
  Config config_;
  Normalisation normalisation_;
  at::Tensor costs_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Source> source_;
};

/// Writes `rows` rows of the config's training stream and its true features into the new folder `out`, for
/// other programs and for the source "files". Throws like `write_toy`.
void write_data(const Config& config, std::int64_t rows, const std::filesystem::path& out);

/// Files to measure on and never to train on: all their rows count as held out. `patterns` are relative to
/// the working directory; `tensor` names the matrix in them, as the parameter of the source "files" does.
/// Throws InputError like that source.
std::unique_ptr<Source> open_files(const std::vector<std::string>& patterns, PluginHost& host,
                                   const std::string& tensor = {});

/// Held-out rows that are looked at unless somebody asks for more.
inline constexpr std::int64_t kEvaluationRows = 16384;
/// Rows that are encoded at once where a run is measured.
inline constexpr std::int64_t kEvaluationBatch = 2048;

}  // namespace regulon::core
