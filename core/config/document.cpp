#include "core/config/document.h"

#include <fmt/format.h>
#include <regulon/params.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

namespace regulon::core::doc {
namespace {

constexpr std::size_t kShownLength = 80;

/// Turns JSON into values; `path` is where it stands within the manifest's config.
Value value_from_json(const nlohmann::json& json, const std::string& name, const std::string& path,
                      int depth) {
  Value value;
  value.place = {path.empty() ? name : name + ": " + path, kNoLine};
  if (depth > kMaxDepth) {
    throw InputError(Problem{value.place.text, "too deep", fmt::format("at most {} levels", kMaxDepth),
                             "more", "the manifest is damaged: take it from the run that wrote it"});
  }
  switch (json.type()) {
    case nlohmann::json::value_t::boolean:
      value.held = json.get<bool>();
      break;
    case nlohmann::json::value_t::number_integer:
      value.held = json.get<std::int64_t>();
      break;
    case nlohmann::json::value_t::number_unsigned:
      if (json.get<std::uint64_t>() <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        value.held = json.get<std::int64_t>();
      } else {
        value.held = Foreign{"an integer beyond 64 bits"};
      }
      break;
    case nlohmann::json::value_t::number_float:
      value.held = json.get<double>();
      break;
    case nlohmann::json::value_t::string:
      value.held = json.get<std::string>();
      break;
    case nlohmann::json::value_t::array: {
      Array array;
      for (std::size_t i = 0; i < json.size(); ++i) {
        array.push_back(value_from_json(json[i], name, fmt::format("{}[{}]", path, i), depth + 1));
      }
      value.held = std::move(array);
      break;
    }
    case nlohmann::json::value_t::object: {
      Table table{value.place, {}};
      for (const auto& [key, item] : json.items()) {
        table.entries.push_back(
            {key,
             value_from_json(item, name, path.empty() ? key : fmt::format("{}.{}", path, key), depth + 1)});
      }
      value.held = std::move(table);
      break;
    }
    default:
      value.held = Foreign{"null"};
  }
  return value;
}

}  // namespace

const Entry* Table::find(const std::string& key) const {
  const auto it =
      std::find_if(entries.begin(), entries.end(), [&key](const Entry& entry) { return entry.key == key; });
  return it == entries.end() ? nullptr : &*it;
}

Entry* Table::find(const std::string& key) { return const_cast<Entry*>(std::as_const(*this).find(key)); }

void Table::set(const std::string& key, Value value) {
  if (Entry* entry = find(key)) {
    entry->value = std::move(value);
  } else {
    entries.push_back({key, std::move(value)});
  }
}

std::string shown(const std::string& text) {
  std::string clean = text.substr(0, kShownLength);
  // A character of several bytes is not cut in two.
  while (clean.size() < text.size() && !clean.empty() &&
         (static_cast<unsigned char>(clean.back()) & 0x80U) != 0) {
    const bool leading = (static_cast<unsigned char>(clean.back()) & 0x40U) != 0;
    clean.pop_back();
    if (leading) break;
  }
  std::replace_if(
      clean.begin(), clean.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; },
      '?');
  return clean.size() < text.size() ? clean + "…" : clean;
}

bool is_utf8(const std::string& text) {
  try {
    return !nlohmann::json(text).dump().empty();
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
}

std::string found(const Value& value) {
  return std::visit(
      [](const auto& held) -> std::string {
        using T = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<T, Table>) {
          return "a table";
        } else if constexpr (std::is_same_v<T, Array>) {
          return held.empty() ? "an empty array" : fmt::format("an array of {}", held.size());
        } else if constexpr (std::is_same_v<T, Foreign>) {
          return held.kind;
        } else if constexpr (std::is_same_v<T, bool>) {
          return held ? "true" : "false";
        } else if constexpr (std::is_same_v<T, std::string>) {
          return '"' + shown(held) + "\" (text)";
        } else {
          return fmt::format("{} ({})", to_text(ParamValue(held)), type_name(ParamValue(held)));
        }
      },
      value.held);
}

void Problems::add(const Place& place, std::string what, std::string expected, std::string found,
                   std::string hint) {
  held_.emplace_back(place.line, Problem{place.text, std::move(what), std::move(expected), std::move(found),
                                         std::move(hint)});
}

void Problems::add(const Place& place, const Error& error, const std::string& context) {
  for (Problem problem : error.problems()) {
    problem.where = problem.where.empty() ? place.text : place.text + ": " + problem.where;
    if (!context.empty()) problem.what = context + ": " + problem.what;
    held_.emplace_back(place.line, std::move(problem));
  }
}

void Problems::throw_if_any() const {
  if (held_.empty()) return;
  auto sorted = held_;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Problem> problems;
  problems.reserve(sorted.size());
  for (auto& [line, problem] : sorted) problems.push_back(std::move(problem));
  throw InputError(std::move(problems));
}

Table from_json(const nlohmann::json& json, const std::string& name) {
  if (!json.is_object()) {
    throw InputError(Problem{name, "the run's configuration is not a JSON object",
                             "an object with one key a section", json.type_name(),
                             "take the manifest from the run that wrote it"});
  }
  Value value = value_from_json(json, name, "", 0);
  return std::move(*value.table());
}

}  // namespace regulon::core::doc
