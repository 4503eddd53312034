#include "core/config/toml_reader.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>

namespace regulon::core::doc {
namespace {

/// A config is written by a person; anything larger is some other file.
constexpr std::uintmax_t kLargestFile = 1 << 20;
/// More dots than this in one key and the parser's recursion is at stake.
constexpr int kMostDots = 100;

/// Line `number` (from one) of `text`, without blanks around it.
std::string line_of(const std::string& text, std::int64_t number) {
  std::istringstream stream(text);
  std::string line;
  for (std::int64_t i = 0; i < number; ++i) {
    if (!std::getline(stream, line)) return "";
  }
  const auto first = line.find_first_not_of(" \t\r");
  if (first == std::string::npos) return "";
  return line.substr(first, line.find_last_not_of(" \t\r") - first + 1);
}

/// The number of the first line that holds a run of too many dots outside of quotes, or 0.
std::int64_t line_with_too_many_dots(const std::string& text) {
  std::int64_t line = 1;
  int dots = 0;
  char quote = 0;
  for (const char c : text) {
    if (c == '\n') {
      ++line;
      dots = 0;
      quote = 0;
    } else if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '.') {
      if (++dots > kMostDots) return line;
    } else if (std::string_view(",=[]{}#").find(c) != std::string_view::npos) {
      dots = 0;
    }
  }
  return 0;
}

/// What usually lies behind a syntax error on `line`.
std::string syntax_hint(const std::string& line) {
  const auto equals = line.find('=');
  if (equals != std::string::npos) {
    const auto first = line.find_first_not_of(" \t", equals + 1);
    if (first != std::string::npos && std::isalpha(static_cast<unsigned char>(line[first])) != 0) {
      return "write text in quotes, and true and false in small letters";
    }
  }
  return "see https://toml.io for how TOML is written";
}

/// Turns the parser's nodes into values.
class Converter {
 public:
  explicit Converter(std::string name) : name_(std::move(name)) {}

  Table table(const toml::table& node, const Place& place, int depth) const {
    check_depth(place, depth);
    Table table{place, {}};
    for (const auto& [key, item] : node) {
      const Place key_place = at(key.source(), place);
      table.entries.push_back({std::string(key.str()), value(item, key_place, depth + 1)});
    }
    std::stable_sort(table.entries.begin(), table.entries.end(),
                     [](const Entry& a, const Entry& b) { return a.value.place.line < b.value.place.line; });
    return table;
  }

 private:
  Value value(const toml::node& node, const Place& place, int depth) const {
    Value value;
    value.place = place;
    if (const auto* held = node.as_boolean()) {
      value.held = held->get();
    } else if (const auto* held = node.as_integer()) {
      value.held = held->get();
    } else if (const auto* held = node.as_floating_point()) {
      value.held = held->get();
    } else if (const auto* held = node.as_string()) {
      value.held = held->get();
    } else if (const auto* held = node.as_table()) {
      value.held = table(*held, place, depth);
    } else if (const auto* held = node.as_array()) {
      value.held = array(*held, place, depth);
    } else {
      value.held = Foreign{"a date or time"};
    }
    return value;
  }

  Array array(const toml::array& node, const Place& place, int depth) const {
    check_depth(place, depth);
    Array array;
    for (const auto& item : node) array.push_back(value(item, at(item.source(), place), depth + 1));
    return array;
  }

  /// The place of `region`; `outer` where the parser knows none.
  Place at(const toml::source_region& region, const Place& outer) const {
    if (region.begin.line == 0) return outer;
    return {fmt::format("{}:{}", name_, region.begin.line), static_cast<std::int64_t>(region.begin.line)};
  }

  static void check_depth(const Place& place, int depth) {
    if (depth > kMaxDepth) {
      throw InputError(Problem{place.text, "tables and arrays lie too deep within each other",
                               fmt::format("at most {} levels", kMaxDepth), "more", ""});
    }
  }

  std::string name_;
};

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// Gives `value` and all in it one place.
void move_to(Value& value, const Place& place) {
  value.place = place;
  if (Table* table = value.table()) {
    table->place = place;
    for (Entry& entry : table->entries) move_to(entry.value, place);
  } else if (Array* array = value.array()) {
    for (Value& item : *array) move_to(item, place);
  }
}

/// The value of an override: TOML, or else a bare word. Nothing if it is neither.
std::optional<Value> override_value(const std::string& text, const Place& place, Problems& problems) {
  try {
    Table table = from_toml("value = " + text + "\n", "override");
    if (table.entries.size() == 1) {
      move_to(table.entries.front().value, place);
      return std::move(table.entries.front().value);
    }
  } catch (const InputError&) {
    // Not a value as TOML writes it: taken as a word below, or told about there.
  }
  if (!text.empty() && std::string_view("\"'[{").find(text.front()) != std::string_view::npos) {
    problems.add(place, "the value of the override is not valid TOML",
                 "a number, true, false, \"text\", an array or { a table }, or a bare word", shown(text),
                 "close quotes and brackets, and quote the whole override in the shell");
    return std::nullopt;
  }
  if (!is_utf8(text)) {
    problems.add(place, "the value of the override is not UTF-8", "UTF-8 text", "", "");
    return std::nullopt;
  }
  return Value{place, text};
}

/// The term called `name` among the [[loss]] tables; a term without a name is called like its plugin.
Table* loss_named(Table& document, const std::string& name, std::vector<std::string>& names) {
  Entry* losses = document.find("loss");
  Array* array = losses == nullptr ? nullptr : losses->value.array();
  if (array == nullptr) return nullptr;
  for (Value& item : *array) {
    Table* table = item.table();
    if (table == nullptr) continue;
    const Entry* entry = table->find("name");
    if (entry == nullptr) entry = table->find("plugin");
    const auto* text = entry == nullptr ? nullptr : std::get_if<std::string>(&entry->value.held);
    if (text == nullptr) continue;
    if (*text == name) return table;
    names.push_back(*text);
  }
  return nullptr;
}

void refuse_loss(const std::string& name, const std::vector<std::string>& names, const Place& place,
                 Problems& problems) {
  problems.add(place, fmt::format("no loss term is called '{}'", shown(name)), "the name of a [[loss]]", "",
               did_you_mean(name, names));
}

/// Splits "a.b.c" into its parts; empty if a part is.
std::vector<std::string> key_path(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text + ".");
  for (std::string part; std::getline(stream, part, '.');) {
    parts.push_back(trimmed(part));
    if (parts.back().empty()) return {};
  }
  return parts;
}

/// The table `key` within `table`, made if it is missing; nullptr if something else is there.
Table* inner_table(Table& table, const std::string& key, const Place& place, Problems& problems) {
  Entry* entry = table.find(key);
  if (entry == nullptr) {
    table.set(key, Value{place, Table{place, {}}});
    entry = table.find(key);
  }
  if (entry->value.table() == nullptr) {
    problems.add(place, fmt::format("'{}' has no keys of its own", shown(key)), "a table",
                 found(entry->value),
                 fmt::format("it was given at {}; set it as a whole instead", entry->value.place.text));
  }
  return entry->value.table();
}

bool is_of_loss(const std::vector<std::string>& path) { return !path.empty() && path.front() == "loss"; }

/// Adds that `text` does not say what to set.
void refuse_key(const std::vector<std::string>& path, const std::string& text, const Place& place,
                Problems& problems) {
  problems.add(place, "not an override",
               is_of_loss(path) ? "loss.NAME.KEY=VALUE, with the name of a loss term" : "SECTION.KEY=VALUE",
               shown(text), "for example run.steps=100 or loss.mse.weight=0.5");
}

/// The table that holds the last part of `path`, with the tables on the way made; nullptr if that cannot be,
/// which has been told then.
Table* table_of(const std::vector<std::string>& path, Table& document, const Place& place,
                Problems& problems) {
  Table* table = &document;
  std::size_t next = 0;
  if (is_of_loss(path)) {
    std::vector<std::string> names;
    table = loss_named(document, path[1], names);
    if (table == nullptr) refuse_loss(path[1], names, place, problems);
    next = 2;
  }
  for (; table != nullptr && next + 1 < path.size(); ++next) {
    table = inner_table(*table, path[next], place, problems);
  }
  return table;
}

void take_out_loss(const std::string& name, const Place& place, Table& document, Problems& problems) {
  std::vector<std::string> names;
  const Table* term = loss_named(document, name, names);
  if (term == nullptr) {
    refuse_loss(name, names, place, problems);
    return;
  }
  std::erase_if(*document.find("loss")->value.array(),
                [&](const Value& item) { return item.table() == term; });
}

}  // namespace

std::string read_text(const std::filesystem::path& file) {
  const auto refuse = [&file](const std::string& what, const std::string& found, const std::string& hint) {
    throw InputError(Problem{file.string(), what, "a TOML file", found, hint});
  };
  std::error_code error;
  const auto status = std::filesystem::status(file, error);
  if (!std::filesystem::exists(status)) refuse("there is no such config", "nothing", "check the path");
  if (std::filesystem::is_directory(status)) refuse("not a file", "a folder", "name the config in it");
  std::ifstream stream(file, std::ios::binary);
  if (!stream) refuse("the config cannot be opened", "no permission to read it", "check its permissions");
  std::string text(kLargestFile + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (stream.bad()) refuse("the config cannot be read", "an error while reading", "check the disk");
  if (text.size() > kLargestFile)
    refuse("too large for a config", "more than 1 MiB", "is this the right file?");
  return text;
}

Table from_toml(const std::string& text, const std::string& name) {
  if (const auto line = line_with_too_many_dots(text); line != 0) {
    throw InputError(Problem{fmt::format("{}:{}", name, line), "not valid TOML for a config",
                             fmt::format("keys of at most {} parts", kMostDots), shown(line_of(text, line)),
                             ""});
  }
  try {
    return Converter(name).table(toml::parse(text, name), Place{name + ":1", 1}, 0);
  } catch (const toml::parse_error& error) {
    const auto position = error.source().begin;
    const std::string line = line_of(text, position.line);
    throw InputError(
        Problem{fmt::format("{}:{}", name, position.line),
                fmt::format("not valid TOML (column {}): {}", position.column, error.description()), "",
                shown(line), syntax_hint(line)});
  }
}

std::optional<Assignment> parse_assignment(const std::string& text, const Place& place, Problems& problems) {
  const auto equals = text.find('=');
  const std::string key = equals == std::string::npos ? "" : trimmed(text.substr(0, equals));
  const auto path = key_path(key);
  if (path.size() < (is_of_loss(path) ? 3U : 2U)) {
    refuse_key(path, text, place, problems);
    return std::nullopt;
  }
  auto value = override_value(trimmed(text.substr(equals + 1)), place, problems);
  if (!value) return std::nullopt;
  return Assignment{key, std::move(*value)};
}

void assign(const Assignment& assignment, Table& document, Problems& problems) {
  const Place& place = assignment.value.place;
  const auto path = key_path(assignment.key);
  if (path.size() < (is_of_loss(path) ? 3U : 2U)) {
    refuse_key(path, assignment.key, place, problems);
  } else if (Table* table = table_of(path, document, place, problems)) {
    table->set(path.back(), assignment.value);
  }
}

void take_out(const std::string& key, const Place& place, Table& document, Problems& problems) {
  const auto path = key_path(key);
  if (path.size() == 2 && is_of_loss(path)) {
    take_out_loss(path[1], place, document, problems);
  } else if (path.size() < 2) {
    refuse_key(path, key, place, problems);
  } else if (Table* table = table_of(path, document, place, problems)) {
    std::vector<std::string> keys;
    for (const Entry& entry : table->entries) keys.push_back(entry.key);
    if (std::erase_if(table->entries, [&](const Entry& entry) { return entry.key == path.back(); }) == 0) {
      problems.add(place, fmt::format("there is no '{}' to take out", shown(key)), "a key that is set", "",
                   did_you_mean(path.back(), keys));
    }
  }
}

void apply_override(const std::string& override_text, Table& document, Problems& problems) {
  const Place place{"--set " + shown(override_text), kNoLine};
  if (const auto assignment = parse_assignment(override_text, place, problems)) {
    assign(*assignment, document, problems);
  }
}

}  // namespace regulon::core::doc
