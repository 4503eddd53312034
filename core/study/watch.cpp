/// What a run's files tell about it while it trains and after it failed.

#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/study/run_study.h"

namespace regulon::core {
namespace {

namespace fs = std::filesystem;

constexpr std::streamoff kTailBytes = 1 << 14;  ///< bytes at a file's end that are looked at
constexpr std::size_t kToldLines = 8;

/// The last lines of a file, without the one that the cut may have torn.
std::vector<std::string> last_lines(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary | std::ios::ate);
  if (!stream) return {};
  const std::streamoff size = stream.tellg();
  const std::streamoff first = std::max<std::streamoff>(0, size - kTailBytes);
  stream.seekg(first);
  std::vector<std::string> lines;
  std::string line;
  if (first > 0) std::getline(stream, line);
  while (std::getline(stream, line)) lines.push_back(line);
  return lines;
}

}  // namespace

ActiveRun active_run(const PlannedRun& run, const fs::path& folder) {
  ActiveRun active;
  active.run = &run;
  const auto lines = last_lines(folder / "metrics.jsonl");
  // The last line may be half written: then the one before it is the newest.
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    const auto report = nlohmann::json::parse(*line, nullptr, false);
    if (!report.is_object()) continue;
    const auto number = [&](const char* key) {
      const auto it = report.find(key);
      return it != report.end() && it->is_number() ? it->get<double>() : 0.0;
    };
    active.step = static_cast<std::int64_t>(number("step"));
    active.fvu = number("fvu");
    active.l0 = number("l0");
    active.dead_share = number("dead_share");
    active.rows_per_second = number("rows_per_second");
    break;
  }
  return active;
}

std::string failure_text(const fs::path& log, const std::string& run, int exit_code, int signal) {
  std::vector<std::string> told;
  for (std::string& line : last_lines(log)) {
    const bool progress = line.starts_with(run + "  ");
    if (!progress && !line.empty()) told.push_back(std::move(line));
  }
  if (told.size() > kToldLines) told.erase(told.begin(), told.end() - kToldLines);
  std::string text = signal == 0 ? "" : fmt::format("ended by signal {} ({})", signal, ::strsignal(signal));
  for (const std::string& line : told) text += (text.empty() ? "" : "\n") + line;
  return text.empty() ? fmt::format("ended with exit code {} and without a word", exit_code) : text;
}

}  // namespace regulon::core
