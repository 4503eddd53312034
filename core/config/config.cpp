#include "core/config/config.h"

#include "core/config/config_reader.h"
#include "core/config/document.h"
#include "core/config/table_reader.h"
#include "core/config/toml_reader.h"

#include <nlohmann/json.hpp>

namespace regulon::core {
namespace {

namespace fs = std::filesystem;

fs::path absolute_path(const fs::path& file) { return (fs::current_path() / file).lexically_normal(); }

Config checked(const doc::Table& document, const fs::path& file, Catalogue& catalogue,
               doc::Problems& problems) {
  Config config = read_config(document, catalogue, problems);
  config.file = absolute_path(file);
  if (!doc::is_utf8(config.file.string())) {
    problems.add(document.place, "the config's path cannot be written into a manifest", "a path in UTF-8", "",
                 "rename the file or its folders");
  }
  problems.throw_if_any();
  return config;
}

}  // namespace

std::vector<fs::path> plugin_path_of(const fs::path& file, const std::vector<Override>& overrides) {
  // What is wrong in here comes up again, together with all else, when the config is loaded.
  doc::Problems untold;
  doc::Table document = doc::from_toml(doc::read_text(file), file.string());
  for (const Override& text : overrides) doc::apply_override(text, document, untold);
  const doc::Entry* entry = document.find("plugins");
  const doc::Table* table = entry == nullptr ? nullptr : entry->value.table();
  if (table == nullptr) return {};
  std::vector<fs::path> folders;
  for (const std::string& path : doc::read_declared<PluginsSection>(*table, "[plugins]", untold).path) {
    folders.push_back((absolute_path(file).parent_path() / path).lexically_normal());
  }
  return folders;
}

Config load_config(const fs::path& file, const std::vector<Override>& overrides, Catalogue& catalogue) {
  return parse_config(doc::read_text(file), file.string(), overrides, catalogue);
}

Config parse_config(const std::string& text, const std::string& name, const std::vector<Override>& overrides,
                    Catalogue& catalogue) {
  doc::Problems problems;
  doc::Table document = doc::from_toml(text, name);
  for (const Override& override_text : overrides) doc::apply_override(override_text, document, problems);
  return checked(document, name, catalogue, problems);
}

Config config_from_json(const nlohmann::json& resolved, const std::string& name, Catalogue& catalogue) {
  doc::Problems problems;
  doc::Table document = doc::from_json(resolved, name);
  const doc::Entry* entry = document.find("file");
  const auto* file = entry == nullptr ? nullptr : std::get_if<std::string>(&entry->value.held);
  if (file == nullptr) {
    problems.add(document.place, "the run's configuration does not say where it came from",
                 "the path of the config under \"file\"", entry == nullptr ? "nothing" : found(entry->value),
                 "take the manifest from the run that wrote it");
  }
  const fs::path origin = file == nullptr ? fs::path() : fs::path(*file);
  std::erase_if(document.entries, [](const doc::Entry& e) { return e.key == "file"; });
  return checked(document, origin, catalogue, problems);
}

}  // namespace regulon::core
