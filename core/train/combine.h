#pragma once
/// Combinations of a run's features, written for others to look for.

#include <filesystem>

#include "core/measure/combine.h"
#include "core/train/run.h"

namespace regulon::core {

/// What was made of a run.
struct CombinedRun {
  Combinations combinations;
  std::int64_t rows = 0;  ///< held-out rows that were looked at; 0 unless features were chosen by them
};

/// Combines features of the run in `folder` and writes them into the new folder `out`, whole or not at all:
/// features.safetensors with `features`, `combination`, `parts`, `weights` and `scores` of Combinations, and
/// combine.json with what was asked for. Not a run: what encoder a combination should have is anybody's
/// guess. `source`: where held-out rows come from, at most `rows` of them, for "coactive"; null: the run's
/// own data. Throws InputError if `out` is there already, and as combine_features does.
CombinedRun combine_run(Run& run, const CombineSettings& settings, Source* source, std::int64_t rows,
                        const std::filesystem::path& out);

}  // namespace regulon::core
