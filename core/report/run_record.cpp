#include "core/report/run_record.h"

#include <fmt/format.h>
#include <regulon/error.h>

#include <fstream>

#include "core/io/json_file.h"

namespace regulon::core::report {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

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

void read_metrics(const fs::path& path, RunRecord& record) {
  std::ifstream stream(path);
  for (std::string line; std::getline(stream, line);) {
    json parsed = json::parse(line, nullptr, false);
    if (RunRecord::number(parsed, "step")) {
      record.metrics.push_back(std::move(parsed));
    } else if (!line.empty()) {
      ++record.torn;
    }
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
  record.summary = read_json_object(summary);
  if (record.summary.is_null() && fs::exists(summary)) {
    throw InputError(
        {summary.string(), "is damaged", "a JSON object", "something else",
         "remove the file and call the command that trained the run, with --resume: it writes the "
         "summary anew"});
  }
  read_metrics(folder / "metrics.jsonl", record);
  record.name = record.config_text("run.name");
  if (record.name.empty()) record.name = fs::absolute(folder).lexically_normal().filename().string();
  return record;
}

}  // namespace regulon::core::report
