#include "core/study/axis_reader.h"

#include "core/config/table_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

namespace regulon::core {
namespace {

const std::string kAll = "all";

/// What an axis over `key` is called: "k", "l1.weight"; "encoder" for the choice of a plugin.
std::string short_name(const std::string& key) {
  std::vector<std::string> parts;
  std::istringstream stream(key);
  for (std::string part; std::getline(stream, part, '.');) parts.push_back(part);
  if (parts.size() > 1 && parts.front() == "loss") parts.erase(parts.begin());
  const bool of_plugin = parts.size() > 1 && parts.back() == "plugin";
  if (of_plugin) parts.pop_back();
  const bool of_loss = key.starts_with("loss.");
  return label_of({{},
                   of_loss         ? fmt::format("{}", fmt::join(parts, "."))
                   : parts.empty() ? ""
                                   : parts.back()});
}

std::string joined(const std::vector<std::string>& keys, bool whole) {
  std::string name;
  for (const std::string& key : keys)
    name += (name.empty() ? "" : "+") + (whole ? label_of({{}, key}) : short_name(key));
  return name;
}

/// Reads one [[axis]].
class AxisReader {
 public:
  AxisReader(const doc::Table& table, doc::Problems& problems) : table_(table), problems_(problems) {}

  Axis read() {
    auto keys = doc::names_of(declaration_of<AxisSection>().specs());
    keys.insert(keys.end(), {"values", "point"});
    doc::check_keys(table_, "[[axis]]", keys, problems_);
    section_ = doc::read_declared<AxisSection>(table_, "[[axis]]", problems_);
    axis_.name = section_.name.empty() ? joined(section_.key, false) : section_.name;
    if (table_.find("point") != nullptr) {
      read_points();
    } else {
      read_values();
    }
    return std::move(axis_);
  }

  /// The name with whole keys in it, for when the short one is taken; empty if the file gives one.
  std::string long_name() const { return section_.name.empty() ? joined(section_.key, true) : ""; }

 private:
  void read_values() {
    const doc::Entry* entry = table_.find("values");
    const doc::Array* values = entry == nullptr ? nullptr : entry->value.array();
    if (section_.key.empty()) {
      problems_.add(table_.place, "[[axis]] says nothing to vary",
                    "key = \"encoder.k\" and values = […], or one [[axis.point]] or more", "no key",
                    "keys are written like in --set: SECTION.KEY or loss.NAME.KEY");
    }
    if (values == nullptr || values->empty()) {
      problems_.add(entry == nullptr ? table_.place : entry->value.place, "[[axis]] has no values",
                    "values = […] with at least one", entry == nullptr ? "none" : found(entry->value),
                    "an empty axis makes an empty grid");
      return;
    }
    if (!section_.labels.empty() && section_.labels.size() != values->size()) {
      problems_.add(place_of(table_, "labels", 0), "'labels' of [[axis]] do not match its values",
                    fmt::format("{} labels", values->size()), fmt::format("{}", section_.labels.size()));
      return;
    }
    for (std::size_t i = 0; i < values->size(); ++i) read_value((*values)[i], i);
  }

  void read_value(const doc::Value& value, std::size_t i) {
    AxisChoice choice;
    choice.label = section_.labels.empty() ? label_of(value) : section_.labels[i];
    check_label(choice.label, place_of(table_, "labels", i));
    if (section_.key.size() == 1) {
      choice.edits.push_back({section_.key.front(), value, value.place});
    } else {
      const doc::Array* several = value.array();
      if (several == nullptr || several->size() != section_.key.size()) {
        problems_.add(value.place, "a value of [[axis]] does not match its keys",
                      fmt::format("an array of {}, one for each key", section_.key.size()), found(value));
        return;
      }
      for (std::size_t k = 0; k < several->size(); ++k) {
        choice.edits.push_back({section_.key[k], (*several)[k], value.place});
      }
    }
    axis_.choices.push_back(std::move(choice));
  }

  void read_points() {
    const doc::Entry* entry = table_.find("point");
    const doc::Array* points = entry->value.array();
    if (section_.name.empty()) {
      problems_.add(table_.place, "[[axis]] of points lacks 'name'", "name = \"…\"", "nothing", "");
    }
    for (const char* other : {"key", "values", "labels"}) {
      if (table_.find(other) == nullptr) continue;
      problems_.add(table_.find(other)->value.place, fmt::format("'{}' stands beside [[axis.point]]", other),
                    "either values of a key, or points", "both", "make two axes of it");
    }
    if (points == nullptr || points->empty()) {
      problems_.add(entry->value.place, "'point' of [[axis]] is not a list of points",
                    "[[axis.point]], once for each", found(entry->value), "");
      return;
    }
    for (const doc::Value& item : *points) read_point(item);
  }

  void read_point(const doc::Value& item) {
    const doc::Table* table = item.table();
    if (table == nullptr) {
      problems_.add(item.place, "not a point", "[[axis.point]] and its keys below", found(item), "");
      return;
    }
    const std::string title = "[[axis.point]]";
    doc::check_keys(*table, title, doc::names_of(declaration_of<PointSection>().specs()), problems_);
    const auto point = doc::read_declared<PointSection>(*table, title, problems_);
    if (table->find("name") != nullptr) check_label(point.name, table->find("name")->value.place);
    axis_.choices.push_back({point.name, edits_of(*table, point.set, point.unset, problems_)});
  }

  void check_label(const std::string& label, const doc::Place& place) {
    if (is_label(label)) return;
    problems_.add(place, "a point cannot be called that", kLabelRule, '"' + doc::shown(label) + '"',
                  "labels = […] of an axis gives its values other names");
  }

  const doc::Table& table_;
  doc::Problems& problems_;
  AxisSection section_;
  Axis axis_;
};

/// The terms of a config by name; one without a name is called like its plugin.
std::vector<std::string> loss_names(const doc::Table& config) {
  std::vector<std::string> names;
  const doc::Entry* entry = config.find("loss");
  const doc::Array* array = entry == nullptr ? nullptr : entry->value.array();
  if (array == nullptr) return names;
  for (const doc::Value& item : *array) {
    const doc::Table* table = item.table();
    const doc::Entry* name = table == nullptr ? nullptr : table->find("name");
    if (name == nullptr && table != nullptr) name = table->find("plugin");
    const auto* text = name == nullptr ? nullptr : std::get_if<std::string>(&name->value.held);
    if (text != nullptr) names.push_back(*text);
  }
  return names;
}

/// The terms that `key` of [study] names, with "all" spelt out.
std::vector<std::string> terms_of(const std::vector<std::string>& asked, const char* key,
                                  const doc::Table& table, const std::vector<std::string>& known,
                                  doc::Problems& problems) {
  if (asked == std::vector<std::string>{kAll}) return known;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    if (std::find(known.begin(), known.end(), asked[i]) != known.end()) continue;
    problems.add(place_of(table, key, i), fmt::format("no loss term is called '{}'", doc::shown(asked[i])),
                 "the name of a [[loss]] of the base, or \"all\" alone", "", did_you_mean(asked[i], known));
  }
  return asked;
}

}  // namespace

void read_axes(const doc::Table& document, doc::Problems& problems, std::vector<Axis>& axes) {
  const doc::Entry* entry = document.find("axis");
  if (entry == nullptr) return;
  const doc::Array* array = entry->value.array();
  if (array == nullptr) {
    problems.add(entry->value.place, "'axis' is not a list of axes", "[[axis]], once for each",
                 found(entry->value), "write [[axis]] with double brackets");
    return;
  }
  std::vector<std::string> long_names;
  for (const doc::Value& item : *array) {
    if (item.table() == nullptr) {
      problems.add(item.place, "not an axis", "[[axis]] and its keys below", found(item), "");
      continue;
    }
    AxisReader reader(*item.table(), problems);
    axes.push_back(reader.read());
    long_names.push_back(reader.long_name());
  }
  std::map<std::string, int> uses;
  for (const Axis& axis : axes) ++uses[axis.name];
  for (std::size_t i = 0; i < axes.size(); ++i) {
    if (uses[axes[i].name] > 1 && !long_names[i].empty()) axes[i].name = long_names[i];
  }
}

void add_loss_axis(const StudySection& section, const doc::Table& table, const doc::Table& base,
                   doc::Problems& problems, std::vector<Axis>& axes) {
  const auto known = loss_names(base);
  const auto leave = terms_of(section.leave_one_out, "leave_one_out", table, known, problems);
  const auto add = terms_of(section.add_one_in, "add_one_in", table, known, problems);
  Axis axis{"loss", {}};
  std::set<std::set<std::string>> seen;
  const auto without = [&](const std::string& label, const std::set<std::string>& terms) {
    if (!seen.insert(terms).second) return;
    AxisChoice& choice = axis.choices.emplace_back();
    choice.label = label_of({{}, label});
    for (const std::string& term : terms) {
      choice.edits.push_back(
          {"loss." + term, std::nullopt, place_of(table, add.empty() ? "leave_one_out" : "add_one_in", 0)});
    }
  };
  if (!leave.empty()) without(kAll, {});
  for (const std::string& term : leave) without("without-" + term, {term});
  if (!add.empty()) without("none", {add.begin(), add.end()});
  for (const std::string& term : add) {
    std::set<std::string> others(add.begin(), add.end());
    others.erase(term);
    without("with-" + term, others);
  }
  if (!axis.choices.empty()) axes.push_back(std::move(axis));
}

bool sets(const Axis& axis, const std::string& key) {
  const auto meets = [](const std::string& a, const std::string& b) {
    return a == b || a.starts_with(b + ".") || b.starts_with(a + ".");
  };
  return std::any_of(axis.choices.begin(), axis.choices.end(), [&](const AxisChoice& choice) {
    return std::any_of(choice.edits.begin(), choice.edits.end(),
                       [&](const Edit& edit) { return meets(edit.key, key); });
  });
}

namespace {

/// Where an axis is spoken of.
doc::Place place_of(const Axis& axis) {
  for (const AxisChoice& choice : axis.choices) {
    if (!choice.edits.empty()) return choice.edits.front().place;
  }
  return {};
}

void check_labels(const Axis& axis, doc::Problems& problems) {
  std::map<std::string, doc::Place> seen;
  for (const AxisChoice& choice : axis.choices) {
    const doc::Place place = choice.edits.empty() ? place_of(axis) : choice.edits.front().place;
    const auto [earlier, fresh] = seen.emplace(choice.label, place);
    if (fresh) continue;
    problems.add(place, fmt::format("two choices of the axis '{}' are called '{}'", axis.name, choice.label),
                 "a name for each: their runs need folders of their own",
                 fmt::format("the same at {}", earlier->second.text),
                 "take one out, or name them with labels = […]");
  }
}

/// Keys that belong to the study.
void check_keys(const Axis& axis, doc::Problems& problems) {
  const std::map<std::string, std::string> reserved = {
      {"run.seed", "seeds = […] in [study] varies it"},
      {"run.name", "every run is called like its point"},
      {"plugins.path", "--plugin-path and [plugins] of the base hold for all runs"}};
  for (const auto& [key, hint] : reserved) {
    if (sets(axis, key)) {
      problems.add(place_of(axis), fmt::format("the axis '{}' cannot set {}", axis.name, key),
                   "another key of the config", "", hint);
    }
  }
}

/// Adds a problem for each key that both axes set.
void check_overlap(const Axis& one, const Axis& other, doc::Problems& problems) {
  std::set<std::string> told;
  for (const AxisChoice& choice : other.choices) {
    for (const Edit& edit : choice.edits) {
      if (!sets(one, edit.key) || !told.insert(edit.key).second) continue;
      problems.add(edit.place,
                   fmt::format("two axes set {}: '{}' and '{}'", doc::shown(edit.key), one.name, other.name),
                   "each key on one axis", "",
                   "let them move together: one axis with several keys, or with points");
    }
  }
}

}  // namespace

void check_axes(const std::vector<Axis>& axes, doc::Problems& problems) {
  for (std::size_t i = 0; i < axes.size(); ++i) {
    if (!axes[i].name.empty() && (!is_label(axes[i].name) || axes[i].name == "seed")) {
      problems.add(place_of(axes[i]), "an axis cannot be called that",
                   std::string(kLabelRule) + ", and not seed", '"' + doc::shown(axes[i].name) + '"',
                   "give it a name = \"…\"");
    }
    check_labels(axes[i], problems);
    check_keys(axes[i], problems);
    for (std::size_t j = 0; j < i; ++j) {
      if (axes[i].name == axes[j].name && !axes[i].name.empty()) {
        problems.add(place_of(axes[i]), fmt::format("two axes are called '{}'", axes[i].name),
                     "a name for each", "", "give one of them a name = \"…\"");
      }
      check_overlap(axes[j], axes[i], problems);
    }
  }
}

}  // namespace regulon::core
