#include "core/interchange/interchange.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <regulon/error.h>

#include <algorithm>
#include <array>
#include <system_error>
#include <utility>

#include "core/interchange/imported_run.h"
#include "core/io/atomic_file.h"

namespace regulon::core {
namespace {

namespace fs = std::filesystem;

/// Files by which a folder is recognised, and who reads it.
struct PeerFormat {
  const char* name;
  const char* settings;
  const char* weights;
  Exported (*write)(PlainSae, const fs::path&, const HookNames&);
  Imported (*read)(const fs::path&);
};

Imported read_ae_folder(const fs::path& folder) { return read_dictionary_learning(folder / "ae.pt"); }

constexpr std::array<PeerFormat, 3> kPeerFormats = {{
    {"saelens", "cfg.json", "sae_weights.safetensors", write_saelens, read_saelens},
    {"sparsify", "cfg.json", "sae.safetensors", write_sparsify, read_sparsify},
    {"dictionary_learning", "config.json", "ae.pt", write_dictionary_learning, read_ae_folder},
}};

constexpr std::size_t kFoldersListed = 5;
constexpr std::size_t kEntriesSeen = 10'000;  ///< of a folder that may be anything

/// Folders below `folder` with weights in them: runs of such libraries nest one a layer.
std::vector<std::string> folders_with_weights(const fs::path& folder) {
  std::vector<std::string> found;
  std::error_code failed;  // what cannot be looked into is passed over: this is advice only
  fs::recursive_directory_iterator entries(folder, fs::directory_options::skip_permission_denied, failed);
  const fs::recursive_directory_iterator end;
  for (std::size_t seen = 0; !failed && entries != end && seen < kEntriesSeen; ++seen) {
    const fs::path path = entries->path();
    entries.increment(failed);
    const std::string name = path.filename().string();
    const bool weights = std::any_of(kPeerFormats.begin(), kPeerFormats.end(),
                                     [&](const PeerFormat& format) { return name == format.weights; });
    if (weights && found.size() < kFoldersListed) found.push_back(path.parent_path().string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

[[noreturn]] void refuse_folder(const fs::path& path) {
  std::vector<std::string> expected;
  for (const PeerFormat& format : kPeerFormats) {
    expected.push_back(fmt::format("{} and {} ({})", format.settings, format.weights, format.name));
  }
  const auto below = folders_with_weights(path);
  throw InputError({path.string(), "holds no dictionary of a library known here",
                    fmt::format("{}", fmt::join(expected, ", or ")), "none of these pairs",
                    below.empty() ? "name the folder that the library saved"
                                  : fmt::format("there are some below: {}", fmt::join(below, ", "))});
}

Imported read_any(const fs::path& path) {
  if (!fs::exists(path)) {
    throw InputError({path.string(), "does not exist", "a folder that another library saved", "nothing",
                      "check the path"});
  }
  if (!fs::is_directory(path)) {
    if (path.extension() == ".pt") return read_dictionary_learning(path);
    throw InputError({path.string(), "is not a dictionary", "a folder, or a file .pt of dictionary_learning",
                      "another file", "name the folder that it lies in"});
  }
  for (const PeerFormat& format : kPeerFormats) {
    if (!fs::exists(path / format.weights)) continue;
    if (!fs::exists(path / format.settings) && std::string_view(format.weights) != "ae.pt") {
      throw InputError({path.string(), fmt::format("has {} without its settings", format.weights),
                        fmt::format("{} beside it", format.settings), "none",
                        "copy it from where it was saved"});
    }
    return format.read(path);
  }
  refuse_folder(path);
}

}  // namespace

std::vector<std::string> export_formats() {
  std::vector<std::string> names;
  for (const PeerFormat& format : kPeerFormats) names.emplace_back(format.name);
  return names;
}

Exported export_run(Run& run, const std::string& to, const fs::path& out, const HookNames& names) {
  const auto format = std::find_if(kPeerFormats.begin(), kPeerFormats.end(),
                                   [&](const PeerFormat& known) { return to == known.name; });
  if (format == kPeerFormats.end()) {
    throw InputError({"--to", fmt::format("'{}' is no format known here", to),
                      fmt::format("{}", fmt::join(export_formats(), ", ")), to,
                      did_you_mean(to, export_formats())});
  }
  require_absent(out);
  PlainSae sae = plain_sae(run);
  AtomicFolder folder(out);
  Exported exported = format->write(std::move(sae), folder.path(), names);
  folder.commit();
  return exported;
}

Imported import_run(const fs::path& path, const fs::path& out, PluginHost& host) {
  require_absent(out);
  return write_imported_run(read_any(path), out, host);
}

}  // namespace regulon::core
