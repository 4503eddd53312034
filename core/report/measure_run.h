#pragma once
/// What a report has measured beyond a run's summary.

#include <filesystem>

#include "core/io/vocabulary.h"
#include "core/plugin/host.h"
#include "core/report/run_record.h"
#include "core/train/run.h"

namespace regulon::core::report {

/// What of true features a report shows.
Measured::Known known_of(const KnownFeatures& known);

/// Measures the run in `folder`, which may have lost what it needs for that: then `why_not` says so. What
/// `evaluation` has, if it is given, is not measured again. Throws InputError only if there is a vocabulary,
/// no tokens for it, and no `evaluation`: a run that has just been trained is reported in any case.
Measured measure_run(const std::filesystem::path& folder, PluginHost& host, const RunEvaluation* evaluation,
                     const Vocabulary& words);

}  // namespace regulon::core::report
