#pragma once
/// Finds plugins, reads their manifests, loads them.

#include <regulon/plugin.h>
#include "core/config/config.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace regulon::core {

/// A plugin library on the search path, as its manifest describes it, or why it cannot be used.
struct PluginFile {
  std::filesystem::path path;
  std::string interface_id;
  std::string name;
  std::string problem;  ///< empty if the manifest fits this program; otherwise the one message that says all
                        ///< that does not
  std::string hash;     ///< XXH3-128 of the file, hex
};

/// The catalogue of everything that a config can name: plugins on the search path, built-in activations and
/// data sources.
class PluginHost final : public Catalogue {
 public:
  /// Search order: `folders` as given (--plugin-path, then [plugins] path), REGULON_PLUGIN_PATH (colon
  /// separated), the folder `plugins` beside the program. Every *.so there is looked at; nothing is loaded
  /// yet. The same interface and name in two files is an InputError naming both. A folder that does not exist
  /// is an InputError naming who asked for it.
  explicit PluginHost(const std::vector<std::filesystem::path>& folders);
  ~PluginHost() override;

  const PluginDescriptor* find(const std::string& interface_id, const std::string& name) override;
  std::vector<std::string> names(const std::string& interface_id) override;
  /// All libraries seen, usable or not, in the order of the search.
  const std::vector<PluginFile>& files() const;
  /// The file that a loaded descriptor came from; "built in" for activations and sources.
  std::string origin(const PluginDescriptor& descriptor) const;
  /// The hash of that file; the SDK's revision for built-in ones.
  std::string hash(const PluginDescriptor& descriptor) const;

 private:
  struct Held;
  std::unique_ptr<Held> held_;
};

}  // namespace regulon::core
