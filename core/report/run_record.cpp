#include "core/report/run_record.h"

#include <fmt/format.h>
#include <regulon/error.h>

#include <fstream>

#include "core/io/checked_json.h"
#include "core/io/json_file.h"

namespace regulon::core::report {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kSummaryAnew =
    "remove the file and call the command that trained the run, with --resume: it writes the summary anew";

/// What lies at a path of names in an object; null if nothing does.
const json* entry_at(const json& object, const std::string& path) {
  const json* here = &object;
  std::size_t begin = 0;
  while (begin <= path.size()) {
    const std::size_t end = std::min(path.find('.', begin), path.size());
    if (!here->is_object()) return nullptr;
    const auto found = here->find(path.substr(begin, end - begin));
    if (found == here->end()) return nullptr;
    here = &*found;
    begin = end + 1;
  }
  return here;
}

/// Throws unless all under `figures` is numbers, or null for what is not finite; lists are of ids.
void check_figures(const CheckedJson& figures) {
  if (figures.value().is_object()) {
    for (const auto& [name, value] : figures.members()) check_figures(value);
  } else if (figures.value().is_array()) {
    for (const CheckedJson& id : figures.items()) id.whole();
  } else {
    figures.number_or_null();
  }
}

void check_not_below_zero(const CheckedJson& figures, const char* name) {
  const auto figure = figures.find(name);
  if (!figure) return;
  const auto value = figure->number_or_null();
  if (value && *value < 0) figure->refuse("a number of at least 0", fmt::format("{}", *value));
}

void check_summary(const json& summary, const fs::path& path) {
  const JsonFile file{path.string(), kSummaryAnew};
  const CheckedJson parts(summary, file);
  for (const char* const part : {"held_out", "known_features", "last"}) {
    const auto figures = parts.find(part);
    if (!figures || figures->value().is_null()) continue;
    if (!figures->value().is_object()) figures->refuse("an object", figures->value().type_name());
    check_figures(*figures);
    for (const char* const name : {"rows", "fvu", "l0", "dead_share"}) check_not_below_zero(*figures, name);
  }
}

/// Throws unless the line, of steps after `last`, has figures where figures belong.
void check_line(const json& line, const JsonFile& file, double last) {
  const CheckedJson report(line, file);
  const auto step = static_cast<double>(report.at("step").whole());
  if (step <= last) {
    report.at("step").refuse(fmt::format("a step after {}, that of the line before", last),
                             fmt::format("{}", step));
  }
  check_figures(report);
}

/// A kill may tear the last line; all others have to be whole.
void read_metrics(const fs::path& path, RunRecord& record) {
  std::ifstream stream(path);
  double last = -1;
  std::size_t number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    json parsed = json::parse(line, nullptr, false);
    if (parsed.is_discarded() && stream.peek() == std::ifstream::traits_type::eof()) {
      record.torn = line.empty() ? 0 : 1;
      return;
    }
    check_line(parsed,
               {fmt::format("{}:{}", path.string(), number),
                "remove the line; or train the run again, into another folder"},
               last);
    last = *RunRecord::number(parsed, "step");
    record.metrics.push_back(std::move(parsed));
  }
}

}  // namespace

std::optional<double> RunRecord::number(const json& object, const std::string& path) {
  const json* entry = entry_at(object, path);
  if (entry == nullptr || !entry->is_number()) return std::nullopt;
  return entry->get<double>();
}

std::optional<double> RunRecord::config_number(const std::string& path) const {
  return number(manifest, "config." + path);
}

std::string RunRecord::config_text(const std::string& path) const {
  const json* entry = entry_at(manifest, "config." + path);
  return entry != nullptr && entry->is_string() ? entry->get<std::string>() : "";
}

std::vector<std::pair<double, double>> RunRecord::curve(const std::string& path) const {
  std::vector<std::pair<double, double>> points;
  for (const json& line : metrics) {
    if (const auto value = number(line, path)) points.emplace_back(*number(line, "step"), *value);
  }
  return points;
}

std::vector<std::string> RunRecord::terms() const {
  std::vector<std::string> names;
  const json* losses = entry_at(manifest, "config.loss");
  if (losses == nullptr || !losses->is_array()) return names;
  for (const json& loss : *losses) {
    const json* name = entry_at(loss, "name");
    if (name != nullptr && name->is_string()) names.push_back(name->get<std::string>());
  }
  return names;
}

std::vector<std::pair<double, double>> RunRecord::term_curve(const std::string& name,
                                                             const std::string& what) const {
  std::vector<std::pair<double, double>> points;
  for (const json& line : metrics) {
    const json* terms = entry_at(line, "terms");  // a term's name may hold dots
    if (terms == nullptr || !terms->is_object() || !terms->contains(name)) continue;
    if (const auto value = number(terms->at(name), what)) points.emplace_back(*number(line, "step"), *value);
  }
  return points;
}

RunRecord read_run_record(const fs::path& folder) {
  RunRecord record;
  record.folder = folder;
  record.manifest = read_json_object(folder / "manifest.json");
  if (!record.manifest.is_object() || !record.manifest.contains("config") ||
      !record.manifest["config"].is_object()) {
    throw InputError(
        {folder.string(), "is not a run", "a folder with a manifest.json that tells a config",
         fs::exists(folder / "manifest.json") ? "a manifest.json that does not" : "no manifest.json",
         "give the folder that `regulon train` wrote"});
  }
  const fs::path summary = folder / "summary.json";
  if (fs::exists(summary)) {
    record.summary = require_json_object(summary, kSummaryAnew);
    check_summary(record.summary, summary);
  }
  read_metrics(folder / "metrics.jsonl", record);
  record.name = record.config_text("run.name");
  if (record.name.empty()) record.name = fs::absolute(folder).lexically_normal().filename().string();
  return record;
}

}  // namespace regulon::core::report
