#include "core/config/edits.h"

#include "core/config/toml_reader.h"

namespace regulon::core {

doc::Place place_of(const doc::Table& table, const std::string& key, std::size_t i) {
  const doc::Entry* entry = table.find(key);
  if (entry == nullptr) return table.place;
  const doc::Array* array = entry->value.array();
  return array != nullptr && i < array->size() ? (*array)[i].place : entry->value.place;
}

std::vector<Edit> edits_of(const doc::Table& table, const std::vector<std::string>& set,
                           const std::vector<std::string>& unset, doc::Problems& problems) {
  std::vector<Edit> edits;
  for (std::size_t i = 0; i < unset.size(); ++i) {
    edits.push_back({unset[i], std::nullopt, place_of(table, "unset", i)});
  }
  for (std::size_t i = 0; i < set.size(); ++i) {
    const doc::Place place = place_of(table, "set", i);
    if (auto assignment = doc::parse_assignment(set[i], place, problems)) {
      edits.push_back({assignment->key, std::move(assignment->value), place});
    }
  }
  return edits;
}

void apply_edit(const Edit& edit, doc::Table& document, doc::Problems& problems) {
  if (edit.value) {
    doc::assign({edit.key, *edit.value}, document, problems);
  } else {
    doc::take_out(edit.key, edit.place, document, problems);
  }
}

}  // namespace regulon::core
