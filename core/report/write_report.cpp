#include "core/report/write_report.h"

#include <fmt/format.h>
#include <regulon/error.h>

#include <algorithm>
#include <exception>

#include "core/io/atomic_file.h"
#include "core/plugin/call.h"
#include "core/report/measure_run.h"
#include "core/report/page.h"
#include "core/report/run_page.h"
#include "core/report/run_record.h"
#include "core/report/study_page.h"
#include "core/report/study_record.h"

namespace regulon::core::report {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostMaps = 12;    ///< heat maps of a study
constexpr double kMapTruths = 32;        ///< true features of a run that has one
constexpr std::int64_t kMapRows = 4096;  ///< held-out rows that tell which features are alive

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
                      const RunEvaluation* evaluation, const Vocabulary& words) {
  const RunRecord run = read_run_record(folder);
  const Measured measured = run.summary.is_null() ? Measured() : measure_run(folder, host, evaluation, words);
  write_atomically(out, to_html(run_page(run, measured)));
}

void write_study_report(const fs::path& folder, const fs::path& out, PluginHost& host) {
  const StudyRecord study = read_study_record(folder);
  StudyParts parts;
  parts.curves = read_curves(study, folder);
  parts.maps = maps_of(study, folder, host, parts.no_maps);
  parts.likeness = seed_likeness(study, folder, host);
  write_atomically(out, to_html(study_page(study, parts)));
}

}  // namespace regulon::core::report
