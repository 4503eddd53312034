#include "core/io/json_file.h"

#include <fstream>
#include <nlohmann/json.hpp>

namespace regulon::core {

nlohmann::json read_json_object(const std::filesystem::path& path) {
  std::ifstream stream(path);
  nlohmann::json held = nlohmann::json::parse(stream, nullptr, false);
  return held.is_object() ? held : nlohmann::json();
}

}  // namespace regulon::core
