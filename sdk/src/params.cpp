#include <fmt/format.h>
#include <fmt/ranges.h>
#include <regulon/params.h>

#include <algorithm>
#include <cmath>

namespace regulon {
namespace {

template <class... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};
template <class... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

std::string toml(bool value) { return value ? "true" : "false"; }
std::string toml(std::int64_t value) { return std::to_string(value); }

std::string toml(double value) {
  if (std::isnan(value)) return "nan";
  std::string text = fmt::format("{}", value);
  // TOML tells a number from an integer by its point or exponent.
  if (text.find_first_of(".ein") == std::string::npos) text += ".0";
  return text;
}

std::string toml(const std::string& value) {
  std::string text = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      text += '\\';
      text += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      text += fmt::format("\\u{:04X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      text += c;
    }
  }
  return text + '"';
}

template <class T>
std::string toml(const std::vector<T>& values) {
  std::string text = "[";
  for (const T& value : values) {
    if (text.size() > 1) text += ", ";
    text += toml(value);
  }
  return text + ']';
}

/// A bound as a person writes it: 1, not 1.0.
std::string bound(double value) { return fmt::format("{}", value); }

bool has_low(const ParamSpec& spec) { return std::isfinite(spec.low); }
bool has_high(const ParamSpec& spec) { return std::isfinite(spec.high); }

std::string range(const ParamSpec& spec) {
  if (has_low(spec) && has_high(spec)) {
    return fmt::format(" in {}{}, {}{}", spec.low_open ? '(' : '[', bound(spec.low), bound(spec.high),
                       spec.high_open ? ')' : ']');
  }
  if (has_low(spec)) return (spec.low_open ? " above " : " of at least ") + bound(spec.low);
  if (has_high(spec)) return (spec.high_open ? " below " : " of at most ") + bound(spec.high);
  return "";
}

std::string number_violation(const ParamSpec& spec, double value, const std::string& text) {
  if (!std::isfinite(value)) return text + " is not a finite number";
  if (value < spec.low) return text + " is below " + bound(spec.low);
  if (value > spec.high) return text + " is above " + bound(spec.high);
  if (spec.low_open && value == spec.low) return text + " is not above " + bound(spec.low);
  if (spec.high_open && value == spec.high) return text + " is not below " + bound(spec.high);
  return "";
}

std::string element_violation(const ParamSpec&, bool) { return ""; }
std::string element_violation(const ParamSpec& spec, std::int64_t value) {
  return number_violation(spec, static_cast<double>(value), toml(value));
}
std::string element_violation(const ParamSpec& spec, double value) {
  return number_violation(spec, value, toml(value));
}
std::string element_violation(const ParamSpec& spec, const std::string& value) {
  const std::vector<std::string>& words = spec.choices;
  if (words.empty() || std::find(words.begin(), words.end(), value) != words.end()) return "";
  return toml(value) + " is not " + accepted(spec);
}

std::string single_kind(const ParamSpec& spec, const std::string& kind) {
  if (spec.choices.empty()) return kind + range(spec);
  return fmt::format("one of: {}", fmt::join(spec.choices, ", "));
}

std::string array_kind(const ParamSpec& spec, const std::string& element) {
  const bool bounded = has_low(spec) || has_high(spec) || !spec.choices.empty();
  const std::string each = bounded ? ", each " + single_kind(spec, "one") : "";
  return "an array of " + element + each;
}

/// A value of one kind as the array of one that holds it, and an empty array as an array of any kind.
std::optional<ParamValue> convert_to_array(const ParamSpec& spec, const ParamValue& value) {
  const bool integers = std::holds_alternative<std::vector<std::int64_t>>(spec.default_value);
  const bool numbers = std::holds_alternative<std::vector<double>>(spec.default_value);
  const bool texts = std::holds_alternative<std::vector<std::string>>(spec.default_value);
  return std::visit(
      Overloaded{
          [](bool) -> std::optional<ParamValue> { return std::nullopt; },
          [&](std::int64_t held) -> std::optional<ParamValue> {
            if (integers) return std::vector<std::int64_t>{held};
            if (numbers) return std::vector<double>{static_cast<double>(held)};
            return std::nullopt;
          },
          [&](double held) -> std::optional<ParamValue> {
            if (numbers) return std::vector<double>{held};
            return std::nullopt;
          },
          [&](const std::string& held) -> std::optional<ParamValue> {
            if (texts) return std::vector<std::string>{held};
            return std::nullopt;
          },
          [&](const auto& held) -> std::optional<ParamValue> {
            if (held.empty() && numbers) return std::vector<double>{};
            if (held.empty() && integers) return std::vector<std::int64_t>{};
            if (held.empty() && texts) return std::vector<std::string>{};
            if constexpr (std::is_same_v<std::decay_t<decltype(held)>, std::vector<std::int64_t>>) {
              if (numbers) return std::vector<double>(held.begin(), held.end());
            }
            return std::nullopt;
          },
      },
      value);
}

}  // namespace

std::string type_name(const ParamValue& value) {
  return std::visit(Overloaded{
                        [](bool) -> std::string { return "true or false"; },
                        [](std::int64_t) -> std::string { return "integer"; },
                        [](double) -> std::string { return "number"; },
                        [](const std::string&) -> std::string { return "text"; },
                        [](const std::vector<std::int64_t>&) -> std::string { return "array of integers"; },
                        [](const std::vector<double>&) -> std::string { return "array of numbers"; },
                        [](const std::vector<std::string>&) -> std::string { return "array of texts"; },
                    },
                    value);
}

std::string to_text(const ParamValue& value) {
  return std::visit([](const auto& held) { return toml(held); }, value);
}

std::string accepted(const ParamSpec& spec) {
  return std::visit(Overloaded{
                        [](bool) -> std::string { return "true or false"; },
                        [&](std::int64_t) { return single_kind(spec, "an integer"); },
                        [&](double) { return single_kind(spec, "a number"); },
                        [&](const std::string&) { return single_kind(spec, "a text"); },
                        [&](const std::vector<std::int64_t>&) { return array_kind(spec, "integers"); },
                        [&](const std::vector<double>&) { return array_kind(spec, "numbers"); },
                        [&](const std::vector<std::string>&) { return array_kind(spec, "texts"); },
                    },
                    spec.default_value);
}

std::string violation(const ParamSpec& spec, const ParamValue& value) {
  return std::visit(
      [&](const auto& held) -> std::string {
        if constexpr (requires { element_violation(spec, held); }) {
          return element_violation(spec, held);
        } else {
          for (std::size_t i = 0; i < held.size(); ++i) {
            const std::string wrong = element_violation(spec, held[i]);
            if (!wrong.empty()) return fmt::format("element {}: {}", i + 1, wrong);
          }
          return "";
        }
      },
      value);
}

std::optional<ParamValue> convert(const ParamSpec& spec, const ParamValue& value) {
  if (value.index() == spec.default_value.index()) return value;
  if (std::holds_alternative<double>(spec.default_value)) {
    const auto* integer = std::get_if<std::int64_t>(&value);
    if (integer != nullptr) return static_cast<double>(*integer);
    return std::nullopt;
  }
  return convert_to_array(spec, value);
}

}  // namespace regulon
