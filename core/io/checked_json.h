#pragma once
/// JSON that somebody else may have changed, read with messages that say where in it something is wrong.

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace regulon::core {

/// What a file is, for its messages.
struct JsonFile {
  std::string where;  ///< its path, and the line if it has one value a line
  std::string hint;   ///< what to do when it is damaged
};

/// A value in a file and the way to it. Lives no longer than the file's value and its `JsonFile`. All throw
/// InputError, "FILE: is damaged: expected a number as points[3].mean, found a text. HINT".
class CheckedJson {
 public:
  /// Throws unless `root` is an object.
  CheckedJson(const nlohmann::json& root, const JsonFile& file);

  /// The member `key` of an object, which has to be there.
  CheckedJson at(const std::string& key) const;
  /// The same, or nothing where there is none.
  std::optional<CheckedJson> find(const std::string& key) const;
  std::vector<CheckedJson> items() const;                            ///< of an array
  std::vector<std::pair<std::string, CheckedJson>> members() const;  ///< of an object
  std::string text() const;
  std::int64_t whole() const;
  double number() const;
  /// A number, or nothing for null: what was not finite.
  std::optional<double> number_or_null() const;
  const nlohmann::json& value() const { return *value_; }
  [[noreturn]] void refuse(const std::string& expected, const std::string& found) const;

 private:
  CheckedJson(const nlohmann::json& value, const JsonFile& file, std::string way)
      : value_(&value), file_(&file), way_(std::move(way)) {}
  void require(bool fits, const char* expected) const;

  const nlohmann::json* value_;
  const JsonFile* file_;
  std::string way_;
};

/// The JSON object in the file `path`. Throws InputError if there is none, or something else is in it.
nlohmann::json require_json_object(const std::filesystem::path& path, const std::string& hint);

}  // namespace regulon::core
