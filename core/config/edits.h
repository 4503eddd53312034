#pragma once
/// Changes of a config, as files list them: set = ["KEY=VALUE"], unset = ["KEY"].

#include "core/config/document.h"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace regulon::core {

/// A change of a document: a key gets a value, or is taken out.
struct Edit {
  std::string key;
  std::optional<doc::Value> value;  ///< none: the key is taken out
  doc::Place place;
};

/// Where element `i` of the array `key` of `table` was written.
doc::Place place_of(const doc::Table& table, const std::string& key, std::size_t i);

/// The edits that `set` ("KEY=VALUE") and `unset` (keys) of `table` stand for.
std::vector<Edit> edits_of(const doc::Table& table, const std::vector<std::string>& set,
                           const std::vector<std::string>& unset, doc::Problems& problems);
/// Makes the edit in `document`; adds to `problems` what stands in the way.
void apply_edit(const Edit& edit, doc::Table& document, doc::Problems& problems);

}  // namespace regulon::core
