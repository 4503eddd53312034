#include "core/study/results.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <string_view>

#include "core/io/atomic_file.h"
#include "core/io/json_file.h"

namespace regulon::core {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// Parts of a summary, and what the names of their measures begin with; other parts go by their own name.
constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kPrefixes = {
    {{"held_out", ""}, {"known_features", "known."}, {"last", "train."}}};
/// Part of the summary whose lists are ids, to be counted.
constexpr std::string_view kOfIds = "known_features";
/// Figures that depend on the clock.
constexpr std::array<std::string_view, 2> kClock = {"seconds", "rows_per_second"};

bool is_of_clock(const std::string& key) {
  return std::find(kClock.begin(), kClock.end(), key) != kClock.end();
}

void collect(const std::string& name, const json& value, bool ids, Measures& measures) {
  if (value.is_number()) {
    const double number = value.get<double>();
    if (std::isfinite(number)) measures[name] = number;
  } else if (value.is_array() && ids) {
    measures[name] = static_cast<double>(value.size());
  } else if (value.is_object()) {
    for (const auto& [key, item] : value.items()) {
      if (!is_of_clock(key)) collect(fmt::format("{}.{}", name, key), item, ids, measures);
    }
  }
}

RunResult look_at(std::size_t index, const PlannedRun& run, RunState state, const StudyPaths& paths) {
  RunResult result{index, state == RunState::other ? "changed" : "missing", "", {}, {}};
  if (state == RunState::done) result.summary = read_json_object(paths.summary(run.name));
  if (!result.summary.is_null()) {
    result.status = "done";
    result.measures = measures_of(result.summary);
    return result;
  }
  const json failure = read_json_object(paths.failure(run.name));
  if (failure.is_null()) return result;
  result.status = "failed";
  const auto error = failure.find("error");
  if (error != failure.end() && error->is_string()) result.error = *error;
  return result;
}

/// The values of a measure at a point, by seed.
using BySeed = std::map<std::int64_t, double>;

PointMeasure point_measure(const BySeed& here, const BySeed* base) {
  std::vector<double> values;
  std::vector<double> differences;
  for (const auto& [seed, value] : here) {
    values.push_back(value);
    if (base == nullptr) continue;
    const auto other = base->find(seed);
    if (other != base->end()) differences.push_back(value - other->second);
  }
  PointMeasure measure{spread_of(values), std::nullopt};
  if (!differences.empty()) measure.difference = difference_of(differences);
  return measure;
}

/// A field as CSV wants it.
std::string field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

/// A number that a single run cannot tell: empty, rather than a zero that looks like certainty.
std::string field(const std::optional<double>& number) { return number ? fmt::format("{}", *number) : ""; }

std::string label(const Study& study, const Plan& plan, std::size_t point, std::size_t axis) {
  return study.axes[axis].choices[plan.points[point].choices[axis]].label;
}

/// The columns that say which point a line is about.
std::string point_fields(const Study& study, const Plan& plan, std::size_t point) {
  std::string line;
  for (std::size_t axis = 0; axis < study.axes.size(); ++axis)
    line += field(label(study, plan, point, axis)) + ",";
  return line;
}

std::string axis_names(const Study& study) {
  std::string line;
  for (const Axis& axis : study.axes) line += field(axis.name) + ",";
  return line;
}

json choices_json(const Study& study, const Plan& plan, std::size_t point) {
  json choices = json::object();
  for (std::size_t axis = 0; axis < study.axes.size(); ++axis) {
    choices[study.axes[axis].name] = label(study, plan, point, axis);
  }
  return choices;
}

json json_of(const std::optional<double>& number) { return number ? json(*number) : json(); }

json to_json(const PointMeasure& measure) {
  const Spread& spread = measure.spread;
  json object = {{"n", spread.n},
                 {"mean", spread.mean},
                 {"std", json_of(spread.std)},
                 {"min", spread.min},
                 {"max", spread.max}};
  if (measure.difference) {
    object["difference"] = {{"n", measure.difference->n},
                            {"mean", measure.difference->mean},
                            {"low", json_of(measure.difference->low)},
                            {"high", json_of(measure.difference->high)}};
  }
  return object;
}

}  // namespace

Measures measures_of(const json& summary) {
  Measures measures;
  for (const auto& [part, values] : summary.items()) {
    std::string prefix = part + ".";
    for (const auto& [name, its] : kPrefixes) {
      if (part == name) prefix = its;
    }
    if (!values.is_object()) continue;
    for (const auto& [key, value] : values.items()) {
      if (!is_of_clock(key)) collect(prefix + key, value, part == kOfIds, measures);
    }
  }
  return measures;
}

Measures read_measures(const fs::path& path) { return measures_of(read_json_object(path)); }

StudyResults results_of(const Plan& plan, const StudyPaths& paths, const StateOf& state_of) {
  StudyResults results;
  std::vector<std::map<std::string, BySeed>> values(plan.points.size());
  for (std::size_t i = 0; i < plan.runs.size(); ++i) {
    const PlannedRun& run = plan.runs[i];
    results.runs.push_back(look_at(i, run, state_of(run), paths));
    for (const auto& [name, value] : results.runs.back().measures) values[run.point][name][run.seed] = value;
  }
  for (std::size_t point = 0; point < plan.points.size(); ++point) {
    auto& measures = results.points.emplace_back();
    for (const auto& [name, by_seed] : values[point]) {
      const auto base = values.front().find(name);
      const bool compared = point != 0 && base != values.front().end();
      measures[name] = point_measure(by_seed, compared ? &base->second : nullptr);
    }
  }
  return results;
}

std::string points_csv(const Study& study, const Plan& plan, const StudyResults& results) {
  std::string text = axis_names(study) +
                     "measure,n,mean,std,min,max,difference,difference_low,difference_high,difference_n\n";
  for (std::size_t point = 0; point < results.points.size(); ++point) {
    for (const auto& [name, measure] : results.points[point]) {
      const Spread& spread = measure.spread;
      text += fmt::format("{}{},{},{},{},{},{},", point_fields(study, plan, point), field(name), spread.n,
                          spread.mean, field(spread.std), spread.min, spread.max);
      const auto& difference = measure.difference;
      text += difference ? fmt::format("{},{},{},{}\n", difference->mean, field(difference->low),
                                       field(difference->high), difference->n)
                         : ",,,0\n";
    }
  }
  return text;
}

std::string runs_csv(const Study& study, const Plan& plan, const StudyResults& results) {
  std::set<std::string> names;
  for (const RunResult& run : results.runs) {
    for (const auto& [name, value] : run.measures) names.insert(name);
  }
  std::string text = "run," + axis_names(study) + "seed,status";
  for (const std::string& name : names) text += "," + field(name);
  text += ",error\n";
  for (const RunResult& result : results.runs) {
    const PlannedRun& run = plan.runs[result.run];
    text += fmt::format("{},{}{},{}", field(run.name), point_fields(study, plan, run.point), run.seed,
                        result.status);
    for (const std::string& name : names) {
      const auto value = result.measures.find(name);
      text += value == result.measures.end() ? std::string(",") : fmt::format(",{}", value->second);
    }
    text += "," + field(result.error) + "\n";
  }
  return text;
}

json results_json(const Study& study, const Plan& plan, const StudyResults& results) {
  json all = {{"study", study.name},
              {"file", study.file.string()},
              {"bootstrap", {{"resamples", kResamples}, {"confidence", kConfidence}}},
              {"axes", json::array()},
              {"points", json::array()},
              {"runs", json::array()}};
  for (const Axis& axis : study.axes) {
    json choices = json::array();
    for (const AxisChoice& choice : axis.choices) choices.push_back(choice.label);
    all["axes"].push_back({{"name", axis.name}, {"choices", choices}});
  }
  for (std::size_t point = 0; point < results.points.size(); ++point) {
    json measures = json::object();
    for (const auto& [name, measure] : results.points[point]) measures[name] = to_json(measure);
    all["points"].push_back({{"point", plan.points[point].label},
                             {"choices", choices_json(study, plan, point)},
                             {"measures", measures}});
  }
  for (const RunResult& result : results.runs) {
    const PlannedRun& run = plan.runs[result.run];
    json object = {{"run", run.name},         {"point", plan.points[run.point].label},
                   {"seed", run.seed},        {"choices", choices_json(study, plan, run.point)},
                   {"status", result.status}, {"folder", "runs/" + run.name}};
    if (!result.error.empty()) object["error"] = result.error;
    if (!result.summary.is_null()) object["summary"] = result.summary;
    all["runs"].push_back(std::move(object));
  }
  return all;
}

void write_results(const Study& study, const Plan& plan, const StudyPaths& paths,
                   const StudyResults& results) {
  write_atomically(paths.root / "runs.csv", runs_csv(study, plan, results));
  // What programs printed may hold anything: bytes that are not UTF-8 become a replacement character.
  write_atomically(
      paths.root / "results.json",
      results_json(study, plan, results).dump(2, ' ', false, json::error_handler_t::replace) + "\n");
  write_atomically(paths.root / "results.csv", points_csv(study, plan, results));
}

}  // namespace regulon::core
