#pragma once
/// Runs to the formats of other libraries and back, each directly.

#include <filesystem>
#include <string>
#include <vector>

#include "core/interchange/peer_formats.h"
#include "core/plugin/host.h"
#include "core/train/run.h"

namespace regulon::core {

/// The libraries that `export_run` writes for: saelens, sparsify, dictionary_learning.
std::vector<std::string> export_formats();

/// Writes `run` into the new folder `out`, whole or not at all, as the library `to` loads it: that library's
/// own encode and decode on rows as stored give the run's codes and reconstruction. Throws InputError for
/// what its format cannot say, with the reason and the nearest that can be exported, or if `out` exists.
Exported export_run(Run& run, const std::string& to, const std::filesystem::path& out,
                    const HookNames& names);

/// Writes the dictionary in `path` as a run into the new folder `out`: see write_imported_run. `path` is a
/// folder with the files of one of these libraries, or a weights file of dictionary_learning. Throws
/// InputError for what is not there, does not fit together, or has no counterpart here.
Imported import_run(const std::filesystem::path& path, const std::filesystem::path& out, PluginHost& host);

}  // namespace regulon::core
