#include "core/config/label.h"

#include <fmt/format.h>

#include <cctype>

namespace regulon::core {
namespace {

constexpr std::size_t kLongestLabel = 100;

/// Everything that is no part of a label becomes a single dash between what is.
std::string cleaned(const std::string& text) {
  std::string label;
  bool gap = false;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool kept = byte < 0x80 && (std::isalnum(byte) != 0 || std::string_view("._+-").find(c) < 4);
    if (kept && gap && !label.empty()) label += '-';
    gap = !kept;
    if (kept) label += c;
  }
  return label;
}

std::string joined(const doc::Array& array) {
  std::string text;
  for (const doc::Value& item : array) text += (text.empty() ? "" : "+") + label_of(item);
  return text;
}

std::string joined(const doc::Table& table) {
  std::string text;
  for (const doc::Entry& entry : table.entries) {
    text += (text.empty() ? "" : "-") + cleaned(entry.key) + '-' + label_of(entry.value);
  }
  return text;
}

}  // namespace

std::string label_of(const doc::Value& value) {
  const std::string label = std::visit(
      [](const auto& held) -> std::string {
        using T = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<T, doc::Array> || std::is_same_v<T, doc::Table>) {
          return joined(held);
        } else if constexpr (std::is_same_v<T, doc::Foreign>) {
          return cleaned(held.kind);
        } else if constexpr (std::is_same_v<T, std::string>) {
          return cleaned(held);
        } else {
          return fmt::format("{}", held);
        }
      },
      value.held);
  return label.empty() ? "empty" : label;
}

bool is_label(const std::string& text) {
  return !text.empty() && text.size() <= kLongestLabel && text.front() != '.' && label_of({{}, text}) == text;
}

}  // namespace regulon::core
