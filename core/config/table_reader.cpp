#include "core/config/table_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

namespace regulon::core::doc {
namespace {

/// Integers up to here are numbers without loss.
constexpr std::int64_t kLargestExact = std::int64_t{1} << 53;

/// "'batch' of [data]"
std::string key_of(const std::string& key, const std::string& title) {
  return fmt::format("'{}' of {}", shown(key), title);
}

bool is_array(const ParamSpec& spec) {
  return std::holds_alternative<std::vector<std::int64_t>>(spec.default_value) ||
         std::holds_alternative<std::vector<double>>(spec.default_value) ||
         std::holds_alternative<std::vector<std::string>>(spec.default_value);
}

bool is_integer(const ParamSpec& spec) { return std::holds_alternative<std::int64_t>(spec.default_value); }

bool takes_schedule(const ParamSpec& spec) {
  return spec.schedulable && (is_integer(spec) || std::holds_alternative<double>(spec.default_value));
}

/// The number in `value`, if it is one without loss.
std::optional<double> number(const Value& value) {
  if (const auto* real = std::get_if<double>(&value.held)) return *real;
  const auto* integer = std::get_if<std::int64_t>(&value.held);
  if (integer == nullptr || *integer > kLargestExact || *integer < -kLargestExact) return std::nullopt;
  return static_cast<double>(*integer);
}

/// The elements of `array` if `get` finds a T in each.
template <class T, class Get>
std::optional<ParamValue> elements(const Array& array, Get get) {
  std::vector<T> values;
  for (const Value& item : array) {
    auto value = get(item);
    if (!value) return std::nullopt;
    values.push_back(std::move(*value));
  }
  return values;
}

template <class T>
std::optional<T> exactly(const Value& value) {
  const T* held = std::get_if<T>(&value.held);
  return held == nullptr ? std::nullopt : std::optional<T>(*held);
}

/// `value` as a parameter value of the type of `spec`, or nothing.
std::optional<ParamValue> typed(const ParamSpec& spec, const Value& value) {
  const bool of_numbers = std::holds_alternative<double>(spec.default_value) ||
                          std::holds_alternative<std::vector<double>>(spec.default_value);
  if (const Array* array = value.array()) {
    if (!is_array(spec)) return std::nullopt;
    if (of_numbers) return elements<double>(*array, number);
    if (std::holds_alternative<std::vector<std::int64_t>>(spec.default_value)) {
      return elements<std::int64_t>(*array, exactly<std::int64_t>);
    }
    return elements<std::string>(*array, exactly<std::string>);
  }
  if (const auto* held = std::get_if<bool>(&value.held)) return convert(spec, *held);
  if (const auto* held = std::get_if<std::string>(&value.held)) return convert(spec, *held);
  if (const auto* held = std::get_if<double>(&value.held)) return convert(spec, *held);
  if (const auto* held = std::get_if<std::int64_t>(&value.held)) {
    if (of_numbers && !number(value)) return std::nullopt;
    return convert(spec, *held);
  }
  return std::nullopt;
}

/// What may have been meant by a value of the wrong type.
std::string type_hint(const ParamSpec& spec, const Value& value) {
  const bool text = std::holds_alternative<std::string>(value.held);
  const bool wants_text = std::holds_alternative<std::string>(spec.default_value);
  if (text && !wants_text && !is_array(spec)) return "write it without quotes";
  if (!text && wants_text && !value.table() && !value.array()) return "write text in quotes";
  const bool wants_number = std::holds_alternative<double>(spec.default_value);
  if (wants_number && std::holds_alternative<std::int64_t>(value.held)) {
    return fmt::format("integers beyond {} are not exact as numbers", kLargestExact);
  }
  return "";
}

/// Holds values of one key against its spec.
struct Checker {
  const std::string& title;
  const ParamSpec& spec;
  Problems& problems;

  /// Whether a value of the right type is acceptable; tells if not.
  bool check(const ParamValue& value, const Place& place, const std::string& of = "") const {
    const std::string wrong = violation(spec, value);
    if (wrong.empty()) return true;
    const auto* text = std::get_if<std::string>(&value);
    problems.add(place, of + key_of(spec.name, title) + " is not acceptable", accepted(spec),
                 is_array(spec) ? shown(wrong) : shown(to_text(value)),
                 text != nullptr && !spec.choices.empty() ? did_you_mean(*text, spec.choices) : "");
    return false;
  }
};

/// Reads the keys of a schedule's table.
class ScheduleReader {
 public:
  ScheduleReader(const Table& table, const ParamSpec& spec, const std::string& title, Problems& problems)
      : table_(table), title_("the schedule of " + key_of(spec.name, title)), problems_(problems) {}

  /// Nothing if the table is malformed, which has been told then.
  std::optional<Schedule> read() {
    const bool by_points = table_.find("points") != nullptr;
    const std::size_t before = problems_.size();
    check_keys(table_, title_,
               by_points ? std::vector<std::string>{"points"}
                         : std::vector<std::string>{"from", "to", "over", "after", "shape"},
               problems_);
    failed_ = problems_.size() > before;
    return by_points ? points() : ramp();
  }

 private:
  std::optional<Schedule> ramp() {
    const double from = real("from");
    const double to = real("to");
    const std::int64_t over = steps("over", true);
    const std::int64_t after = steps("after", false);
    const Schedule::Shape form = shape();
    if (failed_) return std::nullopt;
    return made([&] { return Schedule::ramp(from, to, over, after, form); });
  }

  std::optional<Schedule> points() {
    const Value& value = table_.find("points")->value;
    const Array* array = value.array();
    if (array == nullptr) {
      wrong(value, "points", "an array of [step, value]");
      return std::nullopt;
    }
    std::vector<Schedule::Point> points;
    for (const Value& item : *array) {
      const Array* pair = item.array();
      const bool two = pair != nullptr && pair->size() == 2;
      const auto step = two ? exactly<std::int64_t>((*pair)[0]) : std::nullopt;
      const auto level = two ? number((*pair)[1]) : std::nullopt;
      if (step && level) {
        points.emplace_back(*step, *level);
      } else {
        wrong(item, "points", "pairs [step, value] of an integer and a number");
      }
    }
    if (failed_) return std::nullopt;
    return made([&] { return Schedule::piecewise(std::move(points)); });
  }

  double real(const std::string& key) {
    const Value* value = given(key, true);
    if (value == nullptr) return 0.0;
    const auto held = number(*value);
    if (!held) wrong(*value, key, "a number");
    return held.value_or(0.0);
  }

  std::int64_t steps(const std::string& key, bool required) {
    const Value* value = given(key, required);
    if (value == nullptr) return 0;
    const auto held = exactly<std::int64_t>(*value);
    if (!held) wrong(*value, key, "an integer: a number of steps");
    return held.value_or(0);
  }

  Schedule::Shape shape() {
    const Value* value = given("shape", false);
    if (value == nullptr) return Schedule::Shape::linear;
    const std::vector<std::string> words = {"linear", "cosine", "exponential"};
    const auto* text = std::get_if<std::string>(&value->held);
    const auto it = text == nullptr ? words.end() : std::find(words.begin(), words.end(), *text);
    if (it == words.end()) {
      wrong(*value, "shape", "one of: linear, cosine, exponential",
            text == nullptr ? "" : did_you_mean(*text, words));
      return Schedule::Shape::linear;
    }
    return static_cast<Schedule::Shape>(it - words.begin());
  }

  const Value* given(const std::string& key, bool required) {
    const Entry* entry = table_.find(key);
    if (entry != nullptr) return &entry->value;
    if (required) {
      problems_.add(table_.place, fmt::format("{} lacks '{}'", title_, key),
                    "{ from = 0.0, to = 1.0, over = 500 } or { points = [[0, 0.0], [500, 1.0]] }");
      failed_ = true;
    }
    return nullptr;
  }

  void wrong(const Value& value, const std::string& key, const std::string& expected,
             const std::string& hint = "") {
    problems_.add(value.place, fmt::format("'{}' in {}", key, title_), expected, found(value), hint);
    failed_ = true;
  }

  template <class Make>
  std::optional<Schedule> made(Make make) {
    try {
      return make();
    } catch (const InputError& error) {
      problems_.add(table_.place, error, title_);
      return std::nullopt;
    }
  }

  const Table& table_;
  std::string title_;
  Problems& problems_;
  bool failed_ = false;
};

/// Whether every corner of `schedule` is acceptable for the checker's spec.
bool check_corners(const Schedule& schedule, const Place& place, const Checker& checker) {
  bool good = true;
  for (const auto& [step, value] : schedule.points()) {
    const std::string of = fmt::format("at step {} ", step);
    if (is_integer(checker.spec) && (value != std::round(value) || std::abs(value) > kLargestExact)) {
      checker.problems.add(place, of + key_of(checker.spec.name, checker.title) + " is not acceptable",
                           accepted(checker.spec), to_text(value), "steps in between are rounded");
      good = false;
    } else {
      const ParamValue held = value_at(checker.spec, Schedule(value), 0);
      good = checker.check(held, place, of) && good;
    }
  }
  return good;
}

/// Reads one key that is there.
void read_value(const Value& value, std::size_t index, const Checker& checker, Reading& reading) {
  const ParamSpec& spec = checker.spec;
  const Table* table = value.table();
  if (table != nullptr && takes_schedule(spec)) {
    const auto schedule = ScheduleReader(*table, spec, checker.title, checker.problems).read();
    if (!schedule || !check_corners(*schedule, value.place, checker)) return;
    reading.values[index] = value_at(spec, *schedule, 0);
    if (!schedule->is_constant()) reading.scheduled.emplace_back(index, *schedule);
    return;
  }
  const auto held = typed(spec, value);
  if (!held) {
    const bool schedule =
        table != nullptr && (table->find("from") != nullptr || table->find("points") != nullptr);
    checker.problems.add(value.place,
                         key_of(spec.name, checker.title) +
                             (schedule ? " does not change with the step" : " is of the wrong type"),
                         accepted(spec) + (takes_schedule(spec) ? ", or a schedule" : ""),
                         schedule ? "a schedule" : found(value), type_hint(spec, value));
  } else if (checker.check(*held, value.place)) {
    reading.values[index] = *held;
  }
}

}  // namespace

Schedule Reading::schedule(std::size_t index) const {
  for (const auto& [scheduled_index, schedule] : scheduled) {
    if (scheduled_index == index) return schedule;
  }
  if (const auto* integer = std::get_if<std::int64_t>(&values.at(index))) {
    return Schedule(static_cast<double>(*integer));
  }
  return Schedule(std::get<double>(values.at(index)));
}

ParamValue value_at(const ParamSpec& spec, const Schedule& schedule, std::int64_t step) {
  const double value = schedule.at(step);
  if (is_integer(spec)) return std::int64_t{std::llround(value)};
  return value;
}

std::vector<std::string> names_of(const std::vector<ParamSpec>& specs) {
  std::vector<std::string> names;
  names.reserve(specs.size());
  for (const ParamSpec& spec : specs) names.push_back(spec.name);
  return names;
}

void check_keys(const Table& table, const std::string& title, const std::vector<std::string>& allowed,
                Problems& problems) {
  for (const Entry& entry : table.entries) {
    if (std::find(allowed.begin(), allowed.end(), entry.key) != allowed.end()) continue;
    problems.add(entry.value.place, fmt::format("unknown key '{}' in {}", shown(entry.key), title), "", "",
                 allowed.empty() ? "there is nothing to set here" : did_you_mean(entry.key, allowed));
  }
}

Reading read_table(const Table& table, const std::string& title, const std::vector<ParamSpec>& specs,
                   Problems& problems) {
  Reading reading;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const ParamSpec& spec = specs[i];
    reading.values.push_back(spec.default_value);
    if (const Entry* entry = table.find(spec.name)) {
      read_value(entry->value, i, Checker{title, spec, problems}, reading);
    } else if (spec.required) {
      problems.add(table.place, fmt::format("{} lacks '{}'", title, spec.name), accepted(spec), "nothing",
                   spec.doc);
    }
  }
  return reading;
}

}  // namespace regulon::core::doc
