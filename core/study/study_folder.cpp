#include "core/study/study_folder.h"

#include <fmt/format.h>

#include <charconv>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/io/atomic_file.h"
#include "core/io/hash.h"
#include "core/io/run_folder.h"
#include "core/train/run.h"

namespace regulon::core {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t kToldDifferences = 5;

/// The JSON object in `path`, or null if there is none.
json read_json(const fs::path& path) {
  std::ifstream stream(path);
  json held = json::parse(stream, nullptr, false);
  return held.is_object() ? held : json();
}

/// What a study is: its name, and of each run what makes it that run.
json description_of(const Study& study, const Plan& plan) {
  json runs = json::object();
  for (const PlannedRun& run : plan.runs) runs[run.name] = hash_text(run.config.identity().dump());
  return {{"study", study.name}, {"file", study.file.string()}, {"runs", runs}};
}

/// Whether nothing is in `folder` but locks and what a kill left of the first file.
bool is_ours_to_begin(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(".lock") && name != "study.json.partial") return false;
  }
  return true;
}

[[noreturn]] void refuse_other_study(const StudyPaths& paths, const std::string& found) {
  throw InputError({paths.root.string(), "holds another study", "this study's folder, or none yet", found,
                    "choose another folder with --out, or remove this one"});
}

/// What differs between a run's config as it was claimed and as it is now.
std::vector<std::string> config_differences(const StudyPaths& paths, const PlannedRun& run) {
  return manifest_differences({{"config", read_json(paths.config(run.name))}},
                              {{"config", run.config.resolved()}});
}

void refuse_changed_runs(const StudyPaths& paths, const std::vector<const PlannedRun*>& changed) {
  std::vector<Problem> problems;
  for (const std::string& line : config_differences(paths, *changed.front())) {
    if (problems.size() == kToldDifferences) break;
    problems.push_back({paths.root.string(),
                        fmt::format("holds another run of the name {}", changed.front()->name), "", line,
                        ""});
  }
  if (problems.empty()) refuse_other_study(paths, "runs of the same names and other configs");
  problems.back().hint = fmt::format(
      "{} of the study's runs changed: choose another folder with --out, or --redo to train them again",
      changed.size());
  throw InputError(std::move(problems));
}

std::optional<FileLock> try_lock(const StudyPaths& paths, const std::string& name, FileLock::Kind kind) {
  try {
    return FileLock::try_take(paths.root / name, kind);
  } catch (const RunError& error) {
    throw InputError(error.problems());  // nothing has run yet: the folder given is what is wrong
  }
}

}  // namespace

Shard parse_shard(const std::string& text) {
  Shard shard;
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, shard.index);
  const bool slash = first.ec == std::errc() && first.ptr != end && *first.ptr == '/';
  const auto second = slash ? std::from_chars(first.ptr + 1, end, shard.of) : first;
  const bool read = slash && second.ec == std::errc() && second.ptr == end;
  if (!read || shard.of < 1 || shard.index < 1 || shard.index > shard.of) {
    throw InputError({"--shard", "not a shard", "I/N with I from 1 to N, for example 2/8", '"' + text + '"',
                      "the first of eight is 1/8"});
  }
  return shard;
}

std::string StatusReader::fingerprint(const Config& config) {
  const json identity = config.identity();
  const std::string key =
      fmt::format("{} {} {}", identity.at("data").dump(), config.folder().string(), config.run.seed);
  const auto known = fingerprints_.find(key);
  if (known != fingerprints_.end()) return known->second;
  return fingerprints_[key] = data_fingerprint(config);
}

RunStatus StatusReader::status(const StudyPaths& paths, const PlannedRun& run) {
  const json manifest = read_json(paths.run(run.name) / "manifest.json");
  if (manifest.is_null()) return {RunState::missing, {}};
  std::string data;
  try {
    data = fingerprint(run.config);
  } catch (const InputError&) {
    return {RunState::begun, {}};  // its data cannot be used: the run will fail, and say why
  }
  auto differences = manifest_differences(manifest, run_manifest(run.config, host_, data));
  if (!differences.empty()) return {RunState::other, std::move(differences)};
  return {fs::exists(paths.summary(run.name)) ? RunState::done : RunState::begun, {}};
}

void check_study_folder(const StudyPaths& paths, const Study& study, const Plan& plan, bool redo) {
  if (!fs::exists(paths.root)) return;
  if (!fs::is_directory(paths.root)) {
    throw InputError({paths.root.string(), "cannot be a study's folder", "a folder, or nothing there yet",
                      "a file", "choose another with --out"});
  }
  const json there = read_json(paths.description());
  if (there.is_null()) {
    if (is_ours_to_begin(paths.root)) return;
    throw InputError({paths.root.string(), "holds no study", "a study's folder, an empty one, or none",
                      "other files", "choose another folder with --out"});
  }
  const std::string name = there.value("study", "");
  if (name != study.name) refuse_other_study(paths, fmt::format("the study '{}'", name));
  if (redo) return;
  const json runs = there.value("runs", json::object());
  bool shared = false;
  std::vector<const PlannedRun*> changed;
  for (const PlannedRun& run : plan.runs) {
    if (!runs.contains(run.name)) continue;
    const bool same = runs.at(run.name) == hash_text(run.config.identity().dump());
    shared = shared || same;
    if (!same) changed.push_back(&run);
  }
  if (!changed.empty()) refuse_changed_runs(paths, changed);
  if (!shared) refuse_other_study(paths, fmt::format("one of that name, of {} other runs", runs.size()));
}

StudyLock::StudyLock(const StudyPaths& paths, const Shard& shard) {
  try {
    make_folders(paths.root);
  } catch (const RunError& error) {
    throw InputError(error.problems());
  }
  const bool whole = shard.of == 1;
  study_ = try_lock(paths, ".lock", whole ? FileLock::Kind::exclusive : FileLock::Kind::shared);
  if (study_ && !whole) {
    shard_ = try_lock(paths, fmt::format(".lock-{}-of-{}", shard.index, shard.of), FileLock::Kind::exclusive);
  }
  if (study_ && (whole || shard_)) return;
  throw InputError({paths.root.string(), "is in use by another process",
                    whole ? "a study's folder that nobody works in" : "a shard that nobody else does",
                    "a locked one", "wait for it to end, or choose another folder with --out"});
}

FileLock lock_results(const StudyPaths& paths) { return FileLock::take(paths.root / ".lock-results"); }

void claim_study_folder(const StudyPaths& paths, const Study& study, const Plan& plan) {
  for (const char* folder : {"configs", "runs", "logs", "failures"}) make_folders(paths.root / folder);
  for (const PlannedRun& run : plan.runs) {
    const std::string text = run.config.resolved().dump(2) + "\n";
    std::ifstream stream(paths.config(run.name), std::ios::binary);
    const std::string there{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    if (there != text) write_atomically(paths.config(run.name), text);
  }
  write_atomically(paths.description(), description_of(study, plan).dump(2) + "\n");
}

}  // namespace regulon::core
