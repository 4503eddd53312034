#pragma once
/// A run's folder: what is written there, when, and how it survives being killed.

#include "core/io/named_tensors.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace regulon::core {

/// Checkpoints that a run keeps, the newest ones.
inline constexpr std::size_t kCheckpointsKept = 2;

/// Where, in the folder of a run in stages, the runs of the earlier ones lie.
inline constexpr const char* kStagesFolder = "stages";

/// manifest.json, metrics.jsonl, checkpoints/, weights.safetensors, summary.json under one folder, held by
/// one process at a time. Whole files are written beside, synced and renamed; metrics are appended, and cut
/// back to the checkpoint on resume.
class RunFolder {
 public:
  /// A checkpoint on disk.
  struct Checkpoint {
    std::int64_t step = 0;
    std::filesystem::path path;
  };

  /// Makes the folder and writes `manifest` into it. If it exists already: with `resume`, its manifest must
  /// say the same run (an InputError lists what differs); without, an InputError says how to go on or where
  /// else to write, unless the run there ended before its first report and checkpoint: its place is taken. A
  /// second process on the same folder is an InputError.
  RunFolder(std::filesystem::path folder, const nlohmann::json& manifest, bool resume);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  /// Throws InputError if a new run could not begin in `folder`, as the constructor would.
  static void require_free(const std::filesystem::path& folder);
  /// Whether a whole run lies in `folder`: the weights, and the summary, which is written last.
  static bool is_whole(const std::filesystem::path& folder);

  const std::filesystem::path& path() const { return folder_; }
  bool finished() const { return is_whole(folder_); }
  /// What can be gone on from, the newest first.
  std::vector<Checkpoint> checkpoints() const;
  /// Writes a checkpoint, then removes all but the newest `kCheckpointsKept`.
  void write_checkpoint(std::int64_t step, const NamedTensors& state);
  /// Drops metrics lines after `step`, and a line that a kill left torn.
  void cut_metrics(std::int64_t step);
  /// Appends one line and hands it to the system. Throws RunError when it cannot be written whole.
  void append_metrics(const nlohmann::json& line);
  /// The last line of the metrics as a JSON object; null if there is none.
  nlohmann::json last_metrics() const;
  void write_weights(const NamedTensors& weights);
  void write_summary(const nlohmann::json& summary);

 private:
  class Lock;
  /// Throws InputError unless a run may begin in the folder, or with `resume` go on in it. Changes nothing.
  void check_free(const nlohmann::json& manifest, bool resume) const;
  /// Throws InputError with what differs from the manifest that lies there.
  void require_same_run(const nlohmann::json& manifest) const;

  std::filesystem::path folder_;
  std::unique_ptr<Lock> lock_;
};

/// What of two manifests' identities differs, one line each: "config.run.steps: 100 there, 200 here". Empty
/// if they are the same run. Not part of the identity: "environment", "config.file" and "config.plugins".
std::vector<std::string> manifest_differences(const nlohmann::json& there, const nlohmann::json& here);

}  // namespace regulon::core
