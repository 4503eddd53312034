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

/// Takes the path of the config's file out of a manifest's document.
fs::path take_origin(doc::Table& document, doc::Problems& problems) {
  const doc::Entry* entry = document.find("file");
  const auto* file = entry == nullptr ? nullptr : std::get_if<std::string>(&entry->value.held);
  if (file == nullptr) {
    problems.add(document.place, "the run's configuration does not say where it came from",
                 "the path of the config under \"file\"", entry == nullptr ? "nothing" : found(entry->value),
                 "take the manifest from the run that wrote it");
  }
  fs::path origin = file == nullptr ? fs::path() : fs::path(*file);
  std::erase_if(document.entries, [](const doc::Entry& e) { return e.key == "file"; });
  return origin;
}

}  // namespace

OpenedDocument open_document(const fs::path& file, doc::Problems& problems) {
  const std::string text = doc::read_text(file);
  if (file.extension() != ".json") return {doc::from_toml(text, file.string()), file};
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded()) {
    throw InputError(Problem{file.string(), "not valid JSON", "a run's manifest.json, or a config in TOML",
                             "", "name a config in TOML like FILE.toml"});
  }
  const bool manifest = json.is_object() && json.contains("config");
  OpenedDocument opened{doc::from_json(manifest ? json.at("config") : json, file.string()), {}};
  opened.file = take_origin(opened.document, problems);
  return opened;
}

Config checked_config(const doc::Table& document, const fs::path& file, Catalogue& catalogue,
                      doc::Problems& problems, EmptyLoss empty_loss) {
  Config config = read_config(document, catalogue, problems, empty_loss);
  config.file = absolute_path(file);
  if (!doc::is_utf8(config.file.string())) {
    problems.add(document.place, "the config's path cannot be written into a manifest", "a path in UTF-8", "",
                 "rename the file or its folders");
  }
  problems.throw_if_any();
  return config;
}

std::vector<fs::path> plugin_path_of(const fs::path& file, const std::vector<Override>& overrides) {
  // What is wrong in here comes up again, together with all else, when the config is loaded.
  doc::Problems untold;
  OpenedDocument opened = open_document(file, untold);
  for (const Override& text : overrides) doc::apply_override(text, opened.document, untold);
  const doc::Entry* entry = opened.document.find("plugins");
  const doc::Table* table = entry == nullptr ? nullptr : entry->value.table();
  if (table == nullptr) return {};
  std::vector<fs::path> folders;
  for (const std::string& path : doc::read_declared<PluginsSection>(*table, "[plugins]", untold).path) {
    folders.push_back((absolute_path(opened.file).parent_path() / path).lexically_normal());
  }
  return folders;
}

Config load_config(const fs::path& file, const std::vector<Override>& overrides, Catalogue& catalogue) {
  doc::Problems problems;
  OpenedDocument opened = open_document(file, problems);
  for (const Override& text : overrides) doc::apply_override(text, opened.document, problems);
  return checked_config(opened.document, opened.file, catalogue, problems);
}

Config parse_config(const std::string& text, const std::string& name, const std::vector<Override>& overrides,
                    Catalogue& catalogue) {
  doc::Problems problems;
  doc::Table document = doc::from_toml(text, name);
  for (const Override& override_text : overrides) doc::apply_override(override_text, document, problems);
  return checked_config(document, name, catalogue, problems);
}

Config config_from_json(const nlohmann::json& resolved, const std::string& name, Catalogue& catalogue) {
  doc::Problems problems;
  doc::Table document = doc::from_json(resolved, name);
  const fs::path origin = take_origin(document, problems);
  return checked_config(document, origin, catalogue, problems, EmptyLoss::allowed);
}

}  // namespace regulon::core
