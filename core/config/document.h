#pragma once
/// A document of tables and values in which every value knows where it was written. TOML files, JSON
/// manifests and `--set` overrides all become one of these; whoever reads it need not know which it was.

#include <regulon/error.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace regulon::core::doc {

/// Where something was written, as a message says it, and its line for sorting messages.
struct Place {
  std::string text;       ///< "configs/a.toml:12", "--set run.steps=10"
  std::int64_t line = 0;  ///< places that are no line of a file sort behind all lines
};

/// The line of a place that is no line of a file.
constexpr std::int64_t kNoLine = INT64_MAX;

struct Value;
struct Entry;
using Array = std::vector<Value>;

/// Keys and their values, in the order in which they were written.
struct Table {
  Place place;
  std::vector<Entry> entries;

  /// The entry of `key`, or nullptr.
  const Entry* find(const std::string& key) const;
  Entry* find(const std::string& key);
  /// Adds `key`, or puts `value` in the place of what it held.
  void set(const std::string& key, Value value);
};

/// What no parameter can hold: dates and times, JSON's null.
struct Foreign {
  std::string kind;  ///< "a date"
};

struct Value {
  Place place;
  std::variant<bool, std::int64_t, double, std::string, Array, Table, Foreign> held;

  const Table* table() const { return std::get_if<Table>(&held); }
  Table* table() { return std::get_if<Table>(&held); }
  const Array* array() const { return std::get_if<Array>(&held); }
  Array* array() { return std::get_if<Array>(&held); }
};

struct Entry {
  std::string key;
  Value value;  ///< its place is the key's
};

/// How deep tables and arrays may lie within each other.
constexpr int kMaxDepth = 32;

/// What a value is, as "found" of a message: `"abc" (text)`, `3 (integer)`, "a table".
std::string found(const Value& value);
/// `text` cut to a message's length and without control characters.
std::string shown(const std::string& text);
/// Whether `text` is well-formed UTF-8, which JSON and TOML demand.
bool is_utf8(const std::string& text);

/// Collects problems, so that a person sees all of them at once.
class Problems {
 public:
  void add(const Place& place, std::string what, std::string expected = "", std::string found = "",
           std::string hint = "");
  /// Adds what `error` says as having come up at `place`, in `context` if that is not empty.
  void add(const Place& place, const Error& error, const std::string& context = "");
  std::size_t size() const { return held_.size(); }
  /// Throws InputError with all of them, sorted by line, if there are any.
  void throw_if_any() const;

 private:
  std::vector<std::pair<std::int64_t, Problem>> held_;
};

/// The document in `json`, which must be an object; places read "NAME: loss[0].weight". Throws InputError if
/// it is not an object or too deep.
Table from_json(const nlohmann::json& json, const std::string& name);

}  // namespace regulon::core::doc
