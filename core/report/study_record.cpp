#include "core/report/study_record.h"

#include <fmt/format.h>
#include <regulon/error.h>

#include <algorithm>
#include <set>

#include "core/io/checked_json.h"

namespace regulon::core::report {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kStudyAgain =
    "call `regulon study` again: what is done is not done twice, and the results are written anew";

std::optional<double> optional_number(const CheckedJson& object, const char* key) {
  const auto value = object.find(key);
  return value ? value->number_or_null() : std::nullopt;
}

PointMeasure measure_from(const CheckedJson& object) {
  PointMeasure measure;
  measure.spread = {object.at("n").whole(), object.at("mean").number(), optional_number(object, "std"),
                    object.at("min").number(), object.at("max").number()};
  if (const auto difference = object.find("difference")) {
    measure.difference =
        Difference{difference->at("n").whole(), difference->at("mean").number(),
                   optional_number(*difference, "low"), optional_number(*difference, "high")};
  }
  return measure;
}

StudyPoint point_from(const CheckedJson& object, const std::vector<std::string>& axes) {
  StudyPoint point;
  point.label = object.at("point").text();
  const CheckedJson choices = object.at("choices");
  for (const std::string& axis : axes) point.choices.push_back(choices.at(axis).text());
  for (const auto& [name, measure] : object.at("measures").members())
    point.measures[name] = measure_from(measure);
  return point;
}

StudyRun run_from(const CheckedJson& object) {
  StudyRun run{object.at("run").text(),
               object.at("point").text(),
               object.at("seed").whole(),
               object.at("status").text(),
               "",
               {}};
  if (const auto error = object.find("error")) run.error = error->text();
  const auto summary = object.find("summary");
  if (summary && !summary->value().is_object()) summary->refuse("an object", summary->value().type_name());
  if (summary) run.measures = measures_of(summary->value());
  return run;
}

StudyRecord record_from(const CheckedJson& results) {
  StudyRecord record;
  record.name = results.at("study").text();
  if (const auto file = results.find("file")) record.file = file->text();
  for (const CheckedJson& axis : results.at("axes").items()) {
    record.axes.push_back(axis.at("name").text());
    record.choices.emplace_back();
    for (const CheckedJson& choice : axis.at("choices").items())
      record.choices.back().push_back(choice.text());
  }
  for (const CheckedJson& point : results.at("points").items())
    record.points.push_back(point_from(point, record.axes));
  for (const CheckedJson& run : results.at("runs").items()) record.runs.push_back(run_from(run));
  if (record.points.empty()) results.at("points").refuse("at least the base", "an empty list");
  return record;
}

/// Throws unless the results are of the runs that the study has: study.json may have been written since.
void check_runs_of(const fs::path& folder, const StudyRecord& record) {
  const fs::path path = folder / "study.json";
  const json held = require_json_object(path, "bring the file back, or train the study into another folder");
  const JsonFile file{path.string(), "bring the file back, or train the study into another folder"};
  const CheckedJson study(held, file);
  const std::string name = study.at("study").text();
  std::set<std::string> named;
  for (const auto& [run, hash] : study.at("runs").members()) named.insert(run);
  std::set<std::string> told;
  for (const StudyRun& run : record.runs) told.insert(run.name);
  if (name == record.name && named == told) return;
  throw InputError({(folder / "results.json").string(), "is older than the study beside it",
                    fmt::format("the results of {}, {} runs", name, named.size()),
                    fmt::format("those of {}, {} runs{}", record.name, told.size(),
                                named.size() == told.size() ? " of other names" : ""),
                    kStudyAgain});
}

/// Throws unless the runs that are done lie there as the results tell them.
void check_summaries(const fs::path& folder, const json& results) {
  for (const json& run : results.at("runs")) {
    if (run.at("status") != "done") continue;
    const fs::path path = StudyPaths{folder}.summary(run.at("run").get<std::string>());
    const json there = require_json_object(path, kStudyAgain);
    if (there == run.value("summary", json())) continue;
    throw InputError({(folder / "results.json").string(), "does not tell what lies in runs/",
                      "what " + path.string() + " says", "other figures", kStudyAgain});
  }
}

}  // namespace

std::size_t StudyRecord::count(const std::string& status) const {
  return static_cast<std::size_t>(
      std::count_if(runs.begin(), runs.end(), [&](const StudyRun& run) { return run.status == status; }));
}

std::vector<double> StudyRecord::values(const std::string& point, const std::string& measure) const {
  std::vector<double> values;
  for (const StudyRun& run : runs) {
    const auto found = run.measures.find(measure);
    if (run.point == point && found != run.measures.end()) values.push_back(found->second);
  }
  return values;
}

StudyRecord read_study_record(const fs::path& folder) {
  const fs::path path = folder / "results.json";
  if (!fs::exists(path)) {
    throw InputError({folder.string(), "holds a study without results",
                      "results.json, which a study writes when it ends", "none yet",
                      "call `regulon study` again: it goes on, and then writes it"});
  }
  const json results = require_json_object(path, kStudyAgain);
  const JsonFile file{path.string(), kStudyAgain};
  StudyRecord record = record_from(CheckedJson(results, file));
  check_runs_of(folder, record);
  check_summaries(folder, results);
  return record;
}

}  // namespace regulon::core::report
