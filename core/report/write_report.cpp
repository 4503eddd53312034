#include "core/report/write_report.h"

#include <fmt/format.h>
#include <regulon/error.h>

#include <algorithm>
#include <exception>

#include "core/io/atomic_file.h"
#include "core/plugin/call.h"
#include "core/report/page.h"
#include "core/report/run_page.h"
#include "core/report/run_record.h"
#include "core/report/study_page.h"
#include "core/report/study_record.h"
#include "core/train/drop_curve.h"

namespace regulon::core::report {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostMaps = 12;     ///< heat maps of a study
constexpr double kMapTruths = 32;         ///< true features of a run that has one
constexpr std::int64_t kDropRows = 2048;  ///< held-out rows for curves of what is left out
constexpr std::int64_t kMapRows = 4096;   ///< held-out rows that tell which features are alive

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

Measured::Losses losses_of(const LossSpread& spread) {
  return {spread.quantiles, spread.highest, spread.tail};
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
  if (evaluation.losses.rows > 0) measured.losses = losses_of(evaluation.losses);
  return measured;
}

Measured::Drop drop_of(const DropCurve& curve) {
  Measured::Drop drop{curve.kind, curve.rows, {}};
  for (const DropPoint& point : curve.points) drop.points.emplace_back(point.l0, point.fvu);
  return drop;
}

/// Measures a run that may have lost what it needs for that; what of it was measured already is not again.
Measured measure(const fs::path& folder, PluginHost& host, const RunEvaluation* evaluation) {
  Measured measured;
  try {
    if (evaluation != nullptr) measured = measured_of(*evaluation);
    if (evaluation != nullptr && measured.rows == 0) return measured;
    Run run(folder, host);
    if (evaluation == nullptr) measured = measured_of(run.evaluate(run.source(), kEvaluationRows));
    if (measured.rows == 0) return measured;
    for (const std::string& kind : drop_kinds())
      measured.drops.push_back(drop_of(drop_curve(run, run.source(), kDropRows, kind)));
  } catch (const std::exception&) {
    (measured.rows == 0 ? measured.why_not : measured.why_no_drops) = exception_text();
  }
  return measured;
}

/// Whether a heat map of the point would be small enough to look at beside others.
bool has_small_map(const StudyPoint& point) {
  const auto found = point.measures.find("known.found");
  const auto missed = point.measures.find("known.missed");
  return found != point.measures.end() && missed != point.measures.end() &&
         found->second.spread.mean + missed->second.spread.mean <= kMapTruths;
}

/// The maps of the first points, of each its first run that is done.
std::vector<StudyMap> maps_of(const StudyRecord& study, const fs::path& folder, PluginHost& host,
                              std::string& why_not) {
  std::vector<StudyMap> maps;
  for (const StudyPoint& point : study.points) {
    if (maps.size() == kMostMaps || !why_not.empty()) break;
    const auto run = std::find_if(study.runs.begin(), study.runs.end(), [&](const StudyRun& one) {
      return one.point == point.label && one.status == "done";
    });
    if (run == study.runs.end() || !has_small_map(point)) continue;
    try {
      Run opened(StudyPaths{folder}.run(run->name), host);
      const RunEvaluation evaluation = opened.evaluate(opened.source(), kMapRows);
      if (evaluation.known)
        maps.push_back(
            {fmt::format("{}, seed {}", short_name(point), run->seed), known_of(*evaluation.known)});
    } catch (const std::exception&) {
      why_not = exception_text();
    }
  }
  return maps;
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

void write_run_report(const fs::path& folder, const fs::path& out, PluginHost& host,
                      const RunEvaluation* evaluation) {
  const RunRecord run = read_run_record(folder);
  const Measured measured = run.summary.is_null() ? Measured() : measure(folder, host, evaluation);
  write_atomically(out, to_html(run_page(run, measured)));
}

void write_study_report(const fs::path& folder, const fs::path& out, PluginHost& host) {
  const StudyRecord study = read_study_record(folder);
  std::string why_not;
  const std::vector<StudyMap> maps = maps_of(study, folder, host, why_not);
  write_atomically(out, to_html(study_page(study, maps, why_not)));
}

}  // namespace regulon::core::report
