#include "core/io/run_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <regulon/error.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <optional>
#include <string_view>
#include <system_error>

#include "core/io/atomic_file.h"
#include "core/io/event_file.h"
#include "core/io/file_lock.h"
#include "core/io/json_file.h"
#include "core/io/safetensors.h"

namespace regulon::core {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kCheckpointEnding = ".safetensors";

/// Entries of the manifest that tell where things lay and on what a run ran, not what it is.
constexpr std::array<std::string_view, 3> kNotIdentity = {"environment", "config.file", "config.plugins"};

void collect_differences(const std::string& path, const nlohmann::json& there, const nlohmann::json& here,
                         std::vector<std::string>& lines) {
  if (there == here) return;
  if (there.is_array() && here.is_array() && there.size() == here.size()) {
    for (std::size_t i = 0; i < there.size(); ++i) {
      collect_differences(fmt::format("{}[{}]", path, i), there[i], here[i], lines);
    }
    return;
  }
  if (!there.is_object() || !here.is_object()) {
    lines.push_back(fmt::format("{}: {} there, {} here", path, there.dump(), here.dump()));
    return;
  }
  nlohmann::json keys = there;
  keys.update(here);
  for (const auto& [key, unused] : keys.items()) {
    const std::string inner = path.empty() ? key : path + "." + key;
    if (std::find(kNotIdentity.begin(), kNotIdentity.end(), inner) != kNotIdentity.end()) continue;
    collect_differences(inner, there.value(key, nlohmann::json()), here.value(key, nlohmann::json()), lines);
  }
}

nlohmann::json read_manifest(const fs::path& path) {
  nlohmann::json manifest = read_json_object(path);
  if (manifest.is_null()) {
    throw InputError({path.string(), "is not a manifest", "a JSON object", "something else",
                      "the folder holds no run of Regulon's; choose another with --out"});
  }
  return manifest;
}

/// Hands a file that exists to the disk.
void sync_file(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return;  // no report was due yet: nothing to keep
  const int failed = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  if (failed != 0) fail_on_path(path, "cannot be synced", failed);
}

/// Whether a manifest is one of Regulon's, and not another program's file of that name.
bool is_own_manifest(const fs::path& path) {
  const nlohmann::json manifest = read_json_object(path);
  return manifest.contains("config") && manifest.contains("versions");
}

/// Whether a run in `folder` has no metrics: it was not reported yet, or began again from its start.
bool has_empty_metrics(const fs::path& folder) {
  const fs::path metrics = folder / "metrics.jsonl";
  return fs::is_regular_file(metrics) && fs::is_empty(metrics);
}

void require_folder(const fs::path& folder) {
  if (!fs::exists(folder) || fs::is_directory(folder)) return;
  throw InputError({folder.string(), "cannot be a run's folder", "a folder, or nothing there yet", "a file",
                    "choose another with --out"});
}

/// Whether `folder` holds nothing but what a run leaves that ended before its first report and checkpoint.
/// Events that it wrote before it began again are superseded by those of whatever trains there next. Earlier
/// stages have folders of their own, which are looked at when they are trained.
bool was_never_trained(const fs::path& folder) {
  const bool empty_metrics = has_empty_metrics(folder);
  const bool own_events = empty_metrics && is_own_manifest(folder / "manifest.json");
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const bool empty_checkpoints =
        name == "checkpoints" && entry.is_directory() && fs::is_empty(entry.path());
    const bool left_over =
        (name == "metrics.jsonl" && empty_metrics) || (name.starts_with(kEventFile) && own_events);
    const bool mark = name == ".lock" || name == "manifest.json.partial" ||
                      (name == "manifest.json" && is_own_manifest(entry.path()));
    const bool earlier_stages = name == kStagesFolder && entry.is_directory();
    if (!mark && !empty_checkpoints && !left_over && !earlier_stages) return false;
  }
  return true;
}

std::vector<RunFolder::Checkpoint> checkpoints_in(const fs::path& folder) {
  std::vector<RunFolder::Checkpoint> found;
  if (!fs::is_directory(folder)) return found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    std::int64_t step = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), step);
    if (error == std::errc() && std::string_view(end) == kCheckpointEnding)
      found.push_back({step, entry.path()});
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.step > b.step; });
  return found;
}

}  // namespace

/// Holds a run's folder for this process.
class RunFolder::Lock {
 public:
  explicit Lock(const fs::path& folder) : held_(FileLock::try_take(folder / ".lock")) {
    if (!held_) {
      throw InputError({folder.string(), "is in use by another process", "a folder of this run's own",
                        "a locked one", "wait for it to end, or choose another folder with --out"});
    }
  }

 private:
  std::optional<FileLock> held_;
};

std::vector<std::string> manifest_differences(const nlohmann::json& there, const nlohmann::json& here) {
  std::vector<std::string> lines;
  collect_differences("", there, here, lines);
  return lines;
}

RunFolder::RunFolder(fs::path folder, const nlohmann::json& manifest, bool resume)
    : folder_(std::move(folder)) {
  require_folder(folder_);
  try {
    // Before anything is made here; whoever holds the folder is told first.
    if (fs::exists(folder_ / ".lock")) lock_ = std::make_unique<Lock>(folder_);
    check_free(manifest, resume);
    make_folders(folder_ / "checkpoints");
    if (!lock_) lock_ = std::make_unique<Lock>(folder_);
    check_free(manifest, resume);  // again: until now another process could train here
    const fs::path path = folder_ / "manifest.json";
    if (!resume || !fs::exists(path)) write_atomically(path, manifest.dump(2) + "\n");
  } catch (const RunError& error) {
    throw InputError(error.problems());  // nothing has run yet: the folder given is what is wrong
  }
}

void RunFolder::require_free(const fs::path& folder) {
  if (!fs::exists(folder)) return;
  require_folder(folder);
  if (was_never_trained(folder)) return;
  throw InputError({folder.string(), "exists already", "an empty folder, or none",
                    "a folder with something in it",
                    "--resume goes on with the run in it; --out DIR writes elsewhere"});
}

void RunFolder::check_free(const nlohmann::json& manifest, bool resume) const {
  if (!resume) return require_free(folder_);
  if (!fs::exists(folder_)) return;
  const bool has_manifest = fs::exists(folder_ / "manifest.json");
  if (has_manifest) require_same_run(manifest);
  if (was_never_trained(folder_)) return;
  if (!has_manifest) {
    throw InputError({folder_.string(), "holds no run to resume", "a run's folder, an empty folder, or none",
                      "other files and no manifest.json", "choose another folder with --out"});
  }
}

void RunFolder::require_same_run(const nlohmann::json& manifest) const {
  std::vector<Problem> problems;
  for (const auto& line : manifest_differences(read_manifest(folder_ / "manifest.json"), manifest)) {
    problems.push_back(
        {folder_.string(), "holds another run", "", line,
         "resume with the same config, plugins and data, or choose another folder with --out"});
  }
  if (!problems.empty()) throw InputError(std::move(problems));
}

RunFolder::~RunFolder() = default;

bool RunFolder::is_whole(const fs::path& folder) {
  return fs::exists(folder / "weights.safetensors") && !read_json_object(folder / "summary.json").is_null();
}

std::vector<RunFolder::Checkpoint> RunFolder::checkpoints() const {
  return checkpoints_in(folder_ / "checkpoints");
}

void RunFolder::write_checkpoint(std::int64_t step, const NamedTensors& state) {
  sync_file(folder_ / "metrics.jsonl");  // the lines before a checkpoint have to outlive it
  const fs::path folder = folder_ / "checkpoints";
  write_safetensors(folder / fmt::format("{:09}{}", step, kCheckpointEnding), state,
                    {{"step", std::to_string(step)}});
  const auto found = checkpoints_in(folder);
  for (std::size_t old = kCheckpointsKept; old < found.size(); ++old) {
    std::error_code error;
    if (!fs::remove(found[old].path, error))
      fail_on_path(found[old].path, "cannot be removed", error.value());
  }
}

void RunFolder::cut_metrics(std::int64_t step) {
  const fs::path path = folder_ / "metrics.jsonl";
  std::ifstream stream(path);
  std::string kept;
  for (std::string line; std::getline(stream, line);) {
    const auto parsed = nlohmann::json::parse(line, nullptr, false);
    if (parsed.is_object() && parsed.value("step", step + 1) <= step) kept += line + "\n";
  }
  write_atomically(path, kept);
}

void RunFolder::append_metrics(const nlohmann::json& line) {
  const fs::path path = folder_ / "metrics.jsonl";
  std::ofstream stream(path, std::ios::app);
  errno = 0;
  stream << line.dump() << std::endl;
  if (!stream) fail_on_path(path, "cannot be written", errno);
}

nlohmann::json RunFolder::last_metrics() const {
  std::ifstream stream(folder_ / "metrics.jsonl");
  std::string last;
  for (std::string line; std::getline(stream, line);) last = line;
  return last.empty() ? nlohmann::json() : nlohmann::json::parse(last);
}

void RunFolder::write_weights(const NamedTensors& weights) {
  write_safetensors(folder_ / "weights.safetensors", weights, {{"format", "regulon/1"}});
}

void RunFolder::write_summary(const nlohmann::json& summary) {
  write_atomically(folder_ / "summary.json", summary.dump(2) + "\n");
}

}  // namespace regulon::core
