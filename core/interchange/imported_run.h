#pragma once
/// An imported dictionary as an ordinary run.

#include <filesystem>

#include "core/interchange/peer_formats.h"
#include "core/plugin/host.h"

namespace regulon::core {

/// Writes `imported` as a finished run into the new folder `out`, whole or not at all: its encoder is the
/// first on the plugin path that provides what the dictionary needs, its activation follows from how codes
/// are chosen, its rows are taken as they are stored. Returns it as written, with notes on what was folded.
/// Throws InputError if no encoder can hold it.
Imported write_imported_run(Imported imported, const std::filesystem::path& out, PluginHost& host);

}  // namespace regulon::core
