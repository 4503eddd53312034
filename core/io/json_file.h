#pragma once
/// JSON files that may be missing or torn.

#include <filesystem>
#include <nlohmann/json_fwd.hpp>

namespace regulon::core {

/// The JSON object in `path`; null if there is no such file, or something else is in it.
nlohmann::json read_json_object(const std::filesystem::path& path);

}  // namespace regulon::core
