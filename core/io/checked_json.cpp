#include "core/io/checked_json.h"

#include <fmt/format.h>
#include <regulon/error.h>

#include <fstream>

#include "core/io/json_file.h"

namespace regulon::core {
namespace {

constexpr std::size_t kShownCharacters = 40;

std::string found_text(const nlohmann::json& value) {
  if (value.is_null()) return "null";
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list";
  std::string text = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  if (text.size() > kShownCharacters) text = text.substr(0, kShownCharacters) + "…";
  return text;
}

}  // namespace

CheckedJson::CheckedJson(const nlohmann::json& root, const JsonFile& file) : value_(&root), file_(&file) {
  if (!root.is_object()) refuse("a JSON object", root.is_discarded() ? "what is no JSON" : found_text(root));
}

void CheckedJson::refuse(const std::string& expected, const std::string& found) const {
  throw InputError(
      {file_->where, "is damaged", expected + (way_.empty() ? "" : " as " + way_), found, file_->hint});
}

void CheckedJson::require(bool fits, const char* expected) const {
  if (!fits) refuse(expected, found_text(*value_));
}

CheckedJson CheckedJson::at(const std::string& key) const {
  if (auto found = find(key)) return *found;
  refuse(fmt::format("an entry '{}'", key), "none");
}

std::optional<CheckedJson> CheckedJson::find(const std::string& key) const {
  require(value_->is_object(), "an object");
  const auto found = value_->find(key);
  if (found == value_->end()) return std::nullopt;
  return CheckedJson(*found, *file_, way_.empty() ? key : way_ + "." + key);
}

std::vector<CheckedJson> CheckedJson::items() const {
  require(value_->is_array(), "a list");
  std::vector<CheckedJson> all;
  for (std::size_t i = 0; i < value_->size(); ++i)
    all.push_back(CheckedJson((*value_)[i], *file_, fmt::format("{}[{}]", way_, i)));
  return all;
}

std::vector<std::pair<std::string, CheckedJson>> CheckedJson::members() const {
  require(value_->is_object(), "an object");
  std::vector<std::pair<std::string, CheckedJson>> all;
  for (const auto& [key, value] : value_->items()) all.emplace_back(key, at(key));
  return all;
}

std::string CheckedJson::text() const {
  require(value_->is_string(), "a text");
  return value_->get<std::string>();
}

std::int64_t CheckedJson::whole() const {
  require(value_->is_number_integer(), "a whole number");
  return value_->get<std::int64_t>();
}

double CheckedJson::number() const {
  require(value_->is_number(), "a number");
  return value_->get<double>();
}

std::optional<double> CheckedJson::number_or_null() const {
  if (value_->is_null()) return std::nullopt;
  return number();
}

nlohmann::json require_json_object(const std::filesystem::path& path, const std::string& hint) {
  nlohmann::json held = read_json_object(path);
  if (!held.is_null()) return held;
  const bool there = std::filesystem::exists(path);
  throw InputError({path.string(), there ? "is damaged" : "is not there", "a file with a JSON object",
                    !there                            ? "none"
                    : std::filesystem::is_empty(path) ? "an empty file"
                                                      : "something else",
                    hint});
}

}  // namespace regulon::core
