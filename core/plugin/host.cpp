#include "core/plugin/host.h"
#include <fmt/format.h>
#include <regulon/activation.h>
#include "core/data/source.h"
#include "core/io/hash.h"
#include "core/plugin/call.h"
#include "core/plugin/library.h"
#include "core/plugin/manifest.h"

#include <algorithm>
#include <boost/dll/runtime_symbol_info.hpp>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <system_error>

namespace regulon::core {
namespace {

namespace fs = std::filesystem;

/// No plugin is as large; a larger file is not read into memory to find that out.
constexpr std::uintmax_t kLargestLibrary = std::uintmax_t{1} << 30;

/// A folder to look in, and who asked for it.
struct SearchFolder {
  fs::path path;
  std::string asked_by;
};

std::vector<SearchFolder> search_path(const std::vector<fs::path>& given) {
  std::vector<SearchFolder> all;
  all.reserve(given.size() + 1);
  for (const fs::path& folder : given) all.push_back({folder, "--plugin-path or [plugins] path"});
  const char* variable = std::getenv("REGULON_PLUGIN_PATH");
  std::istringstream listed(variable == nullptr ? "" : variable);
  for (std::string folder; std::getline(listed, folder, ':');) {
    if (!folder.empty()) all.push_back({folder, "REGULON_PLUGIN_PATH"});
  }
  // The one folder that nobody asked for by name: it may be missing.
  const fs::path beside = fs::path(boost::dll::program_location()).parent_path() / "plugins";
  if (fs::is_directory(beside)) all.push_back({beside, "the program's own folder"});
  return all;
}

/// The *.so files of a folder, by name. Throws InputError if there is no such folder.
std::vector<fs::path> libraries_in(const SearchFolder& folder) {
  std::error_code failed;
  fs::directory_iterator entries(folder.path, failed);
  if (failed) {
    throw InputError(Problem{"plugin folder " + folder.path.string() + " (from " + folder.asked_by + ")",
                             "it cannot be searched", "a folder", failed.message(),
                             "Build what is to be there, correct the path, or take it out"});
  }
  std::vector<fs::path> found;
  for (const fs::directory_entry& entry : entries) {
    if (entry.path().extension() == ".so") found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// The file's bytes; on failure `problem` says what stood in the way.
std::string read_library(const fs::path& path, Problem& problem) {
  const auto fail = [&](std::string found) {
    problem = {{},
               "it cannot be read",
               "a readable library",
               std::move(found),
               "Correct its permissions, or take it out of the plugin folder"};
    return std::string();
  };
  std::error_code failed;
  if (!fs::is_regular_file(path, failed))
    return fail(failed ? failed.message() : "something that is not a file");
  const std::uintmax_t size = fs::file_size(path, failed);
  if (failed) return fail(failed.message());
  if (size > kLargestLibrary) return fail(fmt::format("{} bytes, more than any plugin has", size));
  std::string bytes(static_cast<std::size_t>(size), '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(std::generic_category().message(errno));
  file.read(bytes.data(), static_cast<std::streamsize>(size));
  bytes.resize(static_cast<std::size_t>(file.gcount()));
  return bytes;
}

}  // namespace

/// A file on the search path, with what is known about it.
struct Candidate {
  PluginFile file;
  Manifest manifest;  ///< empty if it could not be read
  Problem problem;    ///< `what` is empty if it can be used
};

namespace {

Candidate examine(const fs::path& path, const BuildFacts& facts) {
  Candidate candidate;
  candidate.file.path = path;
  const std::string bytes = read_library(path, candidate.problem);
  if (candidate.problem.what.empty()) {
    candidate.file.hash = hash_text(bytes);
    ManifestRead read = read_manifest(bytes);
    candidate.manifest = std::move(read.manifest);
    candidate.problem =
        read.problem.what.empty() ? misfit(candidate.manifest, facts) : std::move(read.problem);
  }
  candidate.file.interface_id = candidate.manifest.interface_id;
  candidate.file.name = candidate.manifest.name;
  if (!candidate.problem.what.empty()) {
    const std::string name = candidate.file.name.empty() ? path.stem().string() : candidate.file.name;
    candidate.problem.where = place({name, path.string()}, "");
    candidate.file.problem = describe(candidate.problem);
  }
  return candidate;
}

std::vector<Candidate> examine_all(const std::vector<fs::path>& given) {
  const BuildFacts facts = this_program();
  std::set<fs::path> seen;
  std::vector<Candidate> all;
  for (const SearchFolder& folder : search_path(given)) {
    for (const fs::path& path : libraries_in(folder)) {
      std::error_code failed;
      const fs::path real = fs::canonical(path, failed);
      // A broken link has no real path; it is looked at as it is, and reported.
      if (seen.insert(failed ? path : real).second) all.push_back(examine(failed ? path : real, facts));
    }
  }
  return all;
}

void refuse_duplicates(const std::vector<Candidate>& all) {
  std::map<std::pair<std::string, std::string>, fs::path> first;
  std::vector<Problem> problems;
  for (const Candidate& candidate : all) {
    const PluginFile& file = candidate.file;
    if (file.name.empty()) continue;
    const auto [at, fresh] = first.try_emplace({file.interface_id, file.name}, file.path);
    if (fresh) continue;
    problems.push_back({"plugin " + file.name, "two libraries bear the same name for " + file.interface_id,
                        "one", at->second.string() + " and " + file.path.string(),
                        "Remove or rename one of them, or take its folder off the plugin path"});
  }
  if (!problems.empty()) throw InputError(std::move(problems));
}

/// Whether an unusable file is what somebody who asks for this plugin probably means.
bool probably_meant(const Candidate& candidate, const std::string& name) {
  if (candidate.problem.what.empty()) return false;
  const PluginFile& file = candidate.file;
  const std::vector<std::string>& known = plugin_interfaces();
  const bool known_interface = std::find(known.begin(), known.end(), file.interface_id) != known.end();
  if (!file.name.empty()) return file.name == name && !known_interface;
  const std::string stem = file.path.stem().string();
  const std::string suffix = "_" + name;
  return stem == name || (stem.size() > suffix.size() && stem.ends_with(suffix));
}

}  // namespace

struct PluginHost::Held {
  std::vector<Candidate> candidates;
  std::vector<PluginFile> files;
  std::map<const Candidate*, std::unique_ptr<PluginDescriptor>> loaded;

  const PluginDescriptor* load(const Candidate& candidate) {
    if (!candidate.problem.what.empty()) throw InputError(candidate.problem);
    std::unique_ptr<PluginDescriptor>& slot = loaded[&candidate];
    if (slot == nullptr) {
      slot = std::make_unique<PluginDescriptor>(load_plugin(candidate.file.path, candidate.manifest));
    }
    return slot.get();
  }

  /// The file that the descriptor came from, or nullptr.
  const PluginFile* file_of(const PluginDescriptor& descriptor) const {
    for (const auto& [candidate, held] : loaded) {
      if (held.get() == &descriptor) return &candidate->file;
    }
    return nullptr;
  }
};

namespace {

/// What is built in under an interface: nothing for those that plugins implement.
const std::vector<PluginDescriptor>* built_in(const std::string& interface_id) {
  if (interface_id == "activation/1") return &activations();
  if (interface_id == "source/1") return &sources();
  return nullptr;
}

}  // namespace

PluginHost::PluginHost(const std::vector<std::filesystem::path>& folders) : held_(std::make_unique<Held>()) {
  held_->candidates = examine_all(folders);
  refuse_duplicates(held_->candidates);
  for (const Candidate& candidate : held_->candidates) held_->files.push_back(candidate.file);
}

PluginHost::~PluginHost() = default;

const PluginDescriptor* PluginHost::find(const std::string& interface_id, const std::string& name) {
  if (const std::vector<PluginDescriptor>* list = built_in(interface_id)) {
    const auto at = std::find_if(list->begin(), list->end(),
                                 [&](const PluginDescriptor& one) { return one.name == name; });
    return at == list->end() ? nullptr : &*at;
  }
  for (const Candidate& candidate : held_->candidates) {
    if (candidate.file.interface_id == interface_id && candidate.file.name == name)
      return held_->load(candidate);
  }
  for (const Candidate& candidate : held_->candidates) {
    if (probably_meant(candidate, name)) throw InputError(candidate.problem);
  }
  return nullptr;
}

std::vector<std::string> PluginHost::names(const std::string& interface_id) {
  std::vector<std::string> found;
  if (const std::vector<PluginDescriptor>* list = built_in(interface_id)) {
    for (const PluginDescriptor& descriptor : *list) found.push_back(descriptor.name);
  }
  for (const Candidate& candidate : held_->candidates) {
    const bool usable = candidate.problem.what.empty();
    if (usable && candidate.file.interface_id == interface_id) found.push_back(candidate.file.name);
  }
  std::sort(found.begin(), found.end());
  return found;
}

const std::vector<PluginFile>& PluginHost::files() const { return held_->files; }

std::string PluginHost::origin(const PluginDescriptor& descriptor) const {
  const PluginFile* file = held_->file_of(descriptor);
  return file == nullptr ? "built in" : file->path.string();
}

std::string PluginHost::hash(const PluginDescriptor& descriptor) const {
  const PluginFile* file = held_->file_of(descriptor);
  return file == nullptr ? "sdk " REGULON_TEXT(REGULON_SDK_REVISION) : file->hash;
}

}  // namespace regulon::core
