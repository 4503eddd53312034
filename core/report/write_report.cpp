#include "core/report/write_report.h"

#include <regulon/error.h>

#include "core/io/atomic_file.h"
#include "core/report/page.h"
#include "core/report/run_page.h"
#include "core/report/run_record.h"
#include "core/report/study_page.h"
#include "core/report/study_record.h"

namespace regulon::core::report {
namespace {

namespace fs = std::filesystem;

Measured::Known known_of(const KnownFeatures& known) {
  Measured::Known plain;
  plain.truths = static_cast<std::size_t>(known.cosines.size(1));
  const at::Tensor cosines = known.cosines.contiguous();
  plain.cosines.assign(cosines.const_data_ptr<float>(), cosines.const_data_ptr<float>() + cosines.numel());
  plain.order = reading_order(known);
  plain.alive = known.alive;
  plain.composed = known.composed;
  plain.found = known.found;
  plain.missed = known.missed;
  return plain;
}

Measured measured_of(const RunEvaluation& evaluation) {
  Measured measured;
  measured.rows = evaluation.held_out.rows;
  if (evaluation.held_out.frequency.defined() && measured.rows > 0) {
    const at::Tensor frequency = evaluation.held_out.frequency.to(at::kDouble).contiguous();
    measured.frequency.assign(frequency.const_data_ptr<double>(),
                              frequency.const_data_ptr<double>() + frequency.numel());
  }
  if (evaluation.known) measured.known = known_of(*evaluation.known);
  return measured;
}

/// Measures a run that may have lost what it needs for that.
Measured measure_again(const fs::path& folder, PluginHost& host) {
  Measured measured;
  try {
    Run run(folder, host);
    measured = measured_of(run.evaluate(run.source(), kEvaluationRows));
  } catch (const InputError& error) {
    measured.why_not = error.what();
  } catch (const RunError& error) {
    measured.why_not = error.what();
  }
  return measured;
}

}  // namespace

bool is_study(const fs::path& folder) {
  if (fs::exists(folder / "study.json") || fs::exists(folder / "results.json")) return true;
  if (fs::exists(folder / "manifest.json")) return false;
  throw InputError({folder.string(), "holds nothing to report on",
                    "a run's folder with manifest.json, or a study's with study.json",
                    fs::is_directory(folder) ? "neither" : "no such folder",
                    "give the folder that `regulon train` or `regulon study` wrote"});
}

void write_run_report(const fs::path& folder, const fs::path& out, PluginHost& host) {
  const RunRecord run = read_run_record(folder);
  const Measured measured = run.summary.is_null() ? Measured() : measure_again(folder, host);
  write_atomically(out, to_html(run_page(run, measured)));
}

void write_run_report(const fs::path& folder, const fs::path& out, const RunEvaluation& evaluation) {
  write_atomically(out, to_html(run_page(read_run_record(folder), measured_of(evaluation))));
}

void write_study_report(const fs::path& folder, const fs::path& out) {
  write_atomically(out, to_html(study_page(read_study_record(folder))));
}

}  // namespace regulon::core::report
