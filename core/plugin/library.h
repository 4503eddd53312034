#pragma once
/// Loads a plugin library whose manifest fits.

#include <regulon/plugin.h>
#include "core/plugin/manifest.h"

#include <filesystem>

namespace regulon::core {

/// Loads the library at `path`, with all symbols bound at once and none shared with other libraries, and asks
/// it for its plugin. It is never unloaded: autograd may hold its functions until the process ends.
///
/// The descriptor's `make` and `set` are guarded: whatever the plugin throws in them becomes a RunError that
/// names it, and an object of another interface than the manifest's is refused.
/// Throws InputError: symbols missing (named, demangled), no entry, the entry threw, or what it described is
/// not what the manifest says.
PluginDescriptor load_plugin(const std::filesystem::path& path, const Manifest& manifest);

}  // namespace regulon::core
