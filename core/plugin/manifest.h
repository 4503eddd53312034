#pragma once
/// The manifest of a plugin library: what it was built with, read before anything is loaded.

#include <regulon/error.h>

#include <string>
#include <string_view>
#include <vector>

namespace regulon::core {

/// The text in a plugin's ELF section, taken apart (see REGULON_MANIFEST_TEXT).
struct Manifest {
  std::string sdk;           ///< "1": revision of the SDK
  std::string interface_id;  ///< "loss_term/1"
  std::string name;          ///< "hoyer_square"
  std::string torch;         ///< "2.11.0"
  std::string compiler;      ///< "gcc 12"
};

/// A manifest, or why there is none.
struct ManifestRead {
  Manifest manifest;
  Problem problem;  ///< `what` is empty if the manifest was read; `where` is left to the caller
};

/// Reads the manifest out of `library`, the whole content of a file.
ManifestRead read_manifest(std::string_view library);
/// The same from the section's text: "key=value" lines after a first line "regulon-manifest", every key once.
ManifestRead parse_manifest(std::string_view text);

/// What a plugin must have been built with to run in this process.
struct BuildFacts {
  std::string sdk;           ///< revision of the SDK
  std::string torch;         ///< version whose headers this program was compiled with
  std::string torch_loaded;  ///< version of the LibTorch that runs; empty if it does not tell
  std::string compiler;
};
BuildFacts this_program();

/// The interfaces for which plugins can be written: "loss_term/1", "encoder/1", "feature_cost/1".
const std::vector<std::string>& plugin_interfaces();

/// Everything in which the manifest does not fit `facts`, in one problem that says what to rebuild and how;
/// `what` is empty if it fits, `where` is left to the caller.
Problem misfit(const Manifest& manifest, const BuildFacts& facts);

}  // namespace regulon::core
