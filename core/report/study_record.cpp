#include "core/report/study_record.h"

#include <regulon/error.h>

#include <algorithm>

#include "core/io/json_file.h"

namespace regulon::core::report {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::optional<double> optional_number(const json& object, const char* key) {
  const json value = object.value(key, json());
  return value.is_number() ? std::optional(value.get<double>()) : std::nullopt;
}

PointMeasure measure_from(const json& object) {
  PointMeasure measure;
  measure.spread = {object.at("n").get<std::int64_t>(), object.at("mean").get<double>(),
                    optional_number(object, "std"), object.at("min").get<double>(),
                    object.at("max").get<double>()};
  if (object.contains("difference")) {
    const json& difference = object.at("difference");
    measure.difference =
        Difference{difference.at("n").get<std::int64_t>(), difference.at("mean").get<double>(),
                   optional_number(difference, "low"), optional_number(difference, "high")};
  }
  return measure;
}

StudyPoint point_from(const json& object, const std::vector<std::string>& axes) {
  StudyPoint point;
  point.label = object.at("point").get<std::string>();
  for (const std::string& axis : axes)
    point.choices.push_back(object.at("choices").at(axis).get<std::string>());
  for (const auto& [name, measure] : object.at("measures").items())
    point.measures[name] = measure_from(measure);
  return point;
}

StudyRun run_from(const json& object) {
  StudyRun run{object.at("run").get<std::string>(),
               object.at("point").get<std::string>(),
               object.at("seed").get<std::int64_t>(),
               object.at("status").get<std::string>(),
               object.value("error", ""),
               {}};
  if (object.contains("summary")) run.measures = measures_of(object.at("summary"));
  return run;
}

StudyRecord record_from(const json& results) {
  StudyRecord record;
  record.name = results.at("study").get<std::string>();
  record.file = results.value("file", "");
  for (const json& axis : results.at("axes")) {
    record.axes.push_back(axis.at("name").get<std::string>());
    record.choices.push_back(axis.at("choices").get<std::vector<std::string>>());
  }
  for (const json& point : results.at("points")) record.points.push_back(point_from(point, record.axes));
  for (const json& run : results.at("runs")) record.runs.push_back(run_from(run));
  return record;
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
  const json results = read_json_object(path);
  try {
    return record_from(results);
  } catch (const json::exception& error) {
    throw InputError(
        {path.string(), "is damaged", "the results that `regulon study` writes", error.what(),
         "call `regulon study` again: what is done is not done twice, and the results are written anew"});
  }
}

}  // namespace regulon::core::report
