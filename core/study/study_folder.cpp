#include "core/study/study_folder.h"

#include <fmt/format.h>

#include <charconv>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/io/atomic_file.h"
#include "core/io/hash.h"
#include "core/io/json_file.h"
#include "core/io/run_folder.h"
#include "core/train/run.h"

namespace regulon::core {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t kToldDifferences = 5;

constexpr std::string_view kAside = ".old-";  ///< no run's name begins with a dot

std::string identity_hash(const PlannedRun& run) { return hash_text(run.config.identity().dump()); }

/// What a study is: its name, and of each run what makes it that run.
json description_of(const Study& study, const Plan& plan) {
  json runs = json::object();
  for (const PlannedRun& run : plan.runs) runs[run.name] = identity_hash(run);
  return {{"study", study.name}, {"file", study.file.string()}, {"runs", runs}};
}

/// What shards divide: so many parts, of these runs in this order.
json division_of(const Shard& shard, const Plan& plan) {
  Hasher runs;
  for (const PlannedRun& run : plan.runs) runs.update(run.name + " " + identity_hash(run) + "\n");
  return {{"shards", shard.of}, {"runs", runs.hex()}};
}

void remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) fail_on_path(path, "cannot be removed", error.value());
}

/// Removes runs that a kill left put aside.
void sweep(const fs::path& runs) {
  if (!fs::is_directory(runs)) return;
  std::vector<fs::path> aside;
  for (const auto& entry : fs::directory_iterator(runs)) {
    if (entry.path().filename().string().starts_with(kAside)) aside.push_back(entry.path());
  }
  for (const fs::path& path : aside) remove_tree(path);
}

/// study.json, or null if there is none. Throws InputError if it is not what Regulon wrote.
json read_description(const StudyPaths& paths) {
  if (!fs::exists(paths.description())) return {};
  json there = read_json_object(paths.description());
  const auto is = [&](const char* key, json::value_t type) {
    return there.contains(key) && there.at(key).type() == type;
  };
  if (!there.is_null() && is("study", json::value_t::string) && is("runs", json::value_t::object))
    return there;
  throw InputError({paths.description().string(), "is damaged", "what a study is: its name and its runs",
                    "something else", "choose another folder with --out, or remove the folder"});
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
  const json there = read_json_object(paths.config(run.name));
  if (there.is_null()) return {};
  return manifest_differences({{"config", there}}, {{"config", run.config.resolved()}});
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
  const json manifest = read_json_object(paths.run(run.name) / "manifest.json");
  if (manifest.is_null()) return {RunState::missing, {}};
  std::string data;
  try {
    data = fingerprint(run.config);
  } catch (const InputError&) {
    return {RunState::begun, {}};  // its data cannot be used: the run will fail, and say why
  }
  auto differences = manifest_differences(manifest, run_manifest(run.config, host_, data));
  if (!differences.empty()) return {RunState::other, std::move(differences)};
  return {RunFolder::is_whole(paths.run(run.name)) ? RunState::done : RunState::begun, {}};
}

void check_study_folder(const StudyPaths& paths, const Study& study, const Plan& plan, bool redo) {
  if (!fs::exists(paths.root)) return;
  if (!fs::is_directory(paths.root)) {
    throw InputError({paths.root.string(), "cannot be a study's folder", "a folder, or nothing there yet",
                      "a file", "choose another with --out"});
  }
  const json there = read_description(paths);
  if (there.is_null()) {
    if (is_ours_to_begin(paths.root)) return;
    throw InputError({paths.root.string(), "holds no study", "a study's folder, an empty one, or none",
                      "other files", "choose another folder with --out"});
  }
  const auto name = there.at("study").get<std::string>();
  if (name != study.name) refuse_other_study(paths, fmt::format("the study '{}'", name));
  if (redo) return;
  const json& runs = there.at("runs");
  bool shared = false;
  std::vector<const PlannedRun*> changed;
  for (const PlannedRun& run : plan.runs) {
    if (!runs.contains(run.name)) continue;
    const bool same = runs.at(run.name) == identity_hash(run);
    shared = shared || same;
    if (!same) changed.push_back(&run);
  }
  if (!changed.empty()) refuse_changed_runs(paths, changed);
  if (!shared) refuse_other_study(paths, fmt::format("one of that name, of {} other runs", runs.size()));
}

void remove_run(const StudyPaths& paths, const std::string& run) {
  const fs::path aside = paths.root / "runs" / (std::string(kAside) + run);
  remove_tree(aside);
  std::error_code error;
  fs::rename(paths.run(run), aside, error);
  if (error) fail_on_path(paths.run(run), "cannot be renamed", error.value());
  remove_tree(aside);
}

StudyLock::StudyLock(const StudyPaths& paths, const Shard& shard, const Plan& plan) {
  const bool whole = shard.of == 1;
  try {
    make_folders(paths.root);
    if (whole) {
      take_alone(paths);
    } else {
      share(paths, shard, plan);
    }
  } catch (const RunError& error) {
    throw InputError(error.problems());  // nothing has run yet: the folder given is what is wrong
  }
  if (study_ && (whole || shard_)) return;
  throw InputError({paths.root.string(), "is in use by another process",
                    whole ? "a study's folder that nobody works in" : "a shard that nobody else does",
                    "a locked one", "wait for it to end, or choose another folder with --out"});
}

void StudyLock::take_alone(const StudyPaths& paths) {
  study_ = FileLock::try_take(paths.root / ".lock");
  if (study_) sweep(paths.root / "runs");
}

void StudyLock::share(const StudyPaths& paths, const Shard& shard, const Plan& plan) {
  const json division = division_of(shard, plan);
  // Shards that start together come here one after the other: the first finds nobody, the others find it.
  const FileLock one_at_a_time = FileLock::take(paths.root / ".lock-division");
  const fs::path record = paths.root / ".lock-shards";
  take_alone(paths);
  if (study_) {
    write_atomically(record, division.dump() + "\n");
    study_.reset();
  }
  study_ = FileLock::try_take(paths.root / ".lock", FileLock::Kind::shared);
  if (!study_) return;
  const json there = read_json_object(record);
  if (there != division) {
    const bool same_runs = there.is_object() && there.value("runs", json()) == division.at("runs");
    throw InputError({paths.root.string(), "is in use by other shards, which divide it otherwise",
                      same_runs ? fmt::format("a shard of {}", there.value("shards", json()).dump())
                                : "the same runs: the same study file and the same --set",
                      same_runs ? fmt::format("one of {}", shard.of) : "other runs",
                      "wait for them to end, or choose another folder with --out"});
  }
  shard_ = FileLock::try_take(paths.root / fmt::format(".lock-{}-of-{}", shard.index, shard.of));
}

FileLock lock_results(const StudyPaths& paths) { return FileLock::take(paths.root / ".lock-results"); }

void claim_study_folder(const StudyPaths& paths, const Study& study, const Plan& plan) {
  // First, because it is what tells the folder from a stranger's if a kill comes next.
  write_atomically(paths.description(), description_of(study, plan).dump(2) + "\n");
  for (const char* folder : {"configs", "runs", "logs", "failures"}) make_folders(paths.root / folder);
  for (const PlannedRun& run : plan.runs) {
    const std::string text = run.config.resolved().dump(2) + "\n";
    std::ifstream stream(paths.config(run.name), std::ios::binary);
    const std::string there{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    if (there != text) write_atomically(paths.config(run.name), text);
  }
}

}  // namespace regulon::core
