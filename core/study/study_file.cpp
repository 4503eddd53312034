#include "core/study/study_file.h"

#include "core/config/table_reader.h"
#include "core/study/axis_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace regulon::core {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kManyPoints = std::uint64_t{1} << 62;  ///< saturation
const std::string kStudyPrefix = "study.";

fs::path absolute_path(const fs::path& file) { return (fs::current_path() / file).lexically_normal(); }

/// Reads one study file.
class StudyReader {
 public:
  StudyReader(const fs::path& file, const std::vector<Override>& overrides)
      : document_(doc::from_toml(doc::read_text(file), file.string())) {
    study_.file = absolute_path(file);
    for (const Override& text : overrides) {
      if (text.starts_with(kStudyPrefix)) {
        doc::apply_override(text, document_, problems_);
      } else {
        study_.overrides.push_back(text);
      }
    }
  }

  Study read() {
    read_section();
    read_base();
    read_axes(document_, problems_, study_.axes);
    add_loss_axis(section_, section_table(), study_.base, problems_, study_.axes);
    check_axes(study_.axes, problems_);
    check_overrides();
    read_seeds();
    problems_.throw_if_any();
    return std::move(study_);
  }

 private:
  const doc::Table& section_table() const { return *document_.find("study")->value.table(); }

  void read_section() {
    const doc::Entry* entry = document_.find("study");
    const doc::Table* table = entry == nullptr ? nullptr : entry->value.table();
    if (table == nullptr) {
      problems_.add(entry == nullptr ? document_.place : entry->value.place, "there is no [study]",
                    "a section [study] with base = \"CONFIG.toml\"",
                    entry == nullptr ? "none" : found(entry->value),
                    "a config of a single run is trained by `regulon train`");
      problems_.throw_if_any();
      return;
    }
    place_ = table->place;
    const auto keys = doc::names_of(declaration_of<StudySection>().specs());
    doc::check_keys(*table, "[study]", keys, problems_);
    section_ = doc::read_declared<StudySection>(*table, "[study]", problems_);
    study_.name = section_.name.empty() ? study_.file.stem().string() : section_.name;
    study_.grid = section_.mode == "grid";
    if (!is_label(study_.name)) {
      problems_.add(place_, "a study cannot be called that", kLabelRule, '"' + doc::shown(study_.name) + '"',
                    "give it a name = \"…\" of its own");
    }
  }

  /// The base: of the file that is named, or what stands in this file beside the study itself.
  void read_base() {
    const auto ours = [](const doc::Entry& entry) { return entry.key == "study" || entry.key == "axis"; };
    study_.config_file = study_.file;
    if (section_.base.empty()) {
      study_.base = document_;
      std::erase_if(study_.base.entries, ours);
    } else {
      for (const doc::Entry& entry : document_.entries) {
        if (!ours(entry)) refuse_beside_base(entry);
      }
      read_base_file();
    }
    if (study_.base.entries.empty()) {
      problems_.add(place_, "there is no config to vary",
                    "base = \"CONFIG.toml\", or the config's own sections in this file", "neither", "");
      problems_.throw_if_any();
    }
    for (const Edit& edit : edits_of(section_table(), section_.set, section_.unset, problems_)) {
      apply_edit(edit, study_.base, problems_);
    }
    for (const Override& text : study_.overrides) doc::apply_override(text, study_.base, problems_);
  }

  void refuse_beside_base(const doc::Entry& entry) {
    const std::string hint = did_you_mean(entry.key, {"study", "axis"});
    problems_.add(
        entry.value.place, fmt::format("unknown key '{}' in a study that has a base", doc::shown(entry.key)),
        "[study] and [[axis]]", "",
        hint.starts_with("did") ? hint : "what differs from the base goes into set = [\"KEY=VALUE\"]");
  }

  void read_base_file() {
    study_.config_file = (study_.file.parent_path() / section_.base).lexically_normal();
    const doc::Entry* entry = section_table().find("base");
    try {
      const std::string text = doc::read_text(study_.config_file);
      study_.base = doc::from_toml(text, study_.config_file.string());
    } catch (const InputError& error) {
      problems_.add(entry == nullptr ? place_ : entry->value.place, error, "'base' of [study]");
      problems_.throw_if_any();
    }
  }

  /// What an axis varies cannot also be said once and for all.
  void check_overrides() {
    for (const Override& text : study_.overrides) {
      const std::string key = text.substr(0, text.find('='));
      for (const Axis& axis : study_.axes) {
        if (!sets(axis, key)) continue;
        problems_.add({"--set " + doc::shown(text), doc::kNoLine},
                      fmt::format("the axis '{}' sets {}", axis.name, key), "a key that no axis varies", "",
                      "change the axis in the study file");
      }
    }
  }

  /// Settles the seeds, after counting what they would make.
  void read_seeds() {
    const doc::Entry* entry = section_table().find("seeds");
    const bool counted = entry != nullptr && std::holds_alternative<std::int64_t>(entry->value.held);
    const doc::Place& place = entry == nullptr ? place_ : entry->value.place;
    std::uint64_t seeds = section_.seeds.size();
    if (counted) seeds = section_.seeds.empty() ? 0 : static_cast<std::uint64_t>(section_.seeds.front());
    if (entry != nullptr && seeds == 0) {
      problems_.add(place, "'seeds' of [study] is empty", "how many, or a list of them", found(entry->value),
                    "leave it out for the base's own seed");
      return;
    }
    if (!check_size(std::max<std::uint64_t>(1, seeds))) return;
    study_.seeds = section_.seeds;
    if (counted) {
      study_.seeds.resize(seeds);
      std::iota(study_.seeds.begin(), study_.seeds.end(), 0);
    }
    auto sorted = study_.seeds;
    std::sort(sorted.begin(), sorted.end());
    const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    if (twice != sorted.end()) {
      problems_.add(place, "'seeds' of [study] names one twice", "each seed once", fmt::format("{}", *twice));
    }
  }

  /// Whether there are not too many runs.
  bool check_size(std::uint64_t seeds) {
    const std::uint64_t points = study_.points();
    if (points <= kMostRuns / seeds) return true;
    const std::uint64_t runs = points > kManyPoints / seeds ? kManyPoints : points * seeds;
    std::string factors;
    for (const Axis& axis : study_.axes) factors += fmt::format("{} {}, ", axis.choices.size(), axis.name);
    problems_.add(place_, "too many runs", fmt::format("at most {}", kMostRuns),
                  fmt::format("{}{} ({}{} {})", runs == kManyPoints ? "more than " : "", runs, factors, seeds,
                              seeds == 1 ? "seed" : "seeds"),
                  "take values out of the axes, or cut the study into several");
    return false;
  }

  doc::Table document_;
  doc::Problems problems_;
  doc::Place place_;
  StudySection section_;
  Study study_;
};

}  // namespace

void StudySection::declare(Declaration<StudySection>& d) {
  d.param("name", &StudySection::name).doc("of the study and its folder; the file's name if absent");
  d.param("base", &StudySection::base)
      .doc("the config that is varied, relative to this file; if absent, its sections stand in this file");
  d.param("set", &StudySection::set).doc("what differs from the base in every run: \"KEY=VALUE\"");
  d.param("unset", &StudySection::unset).doc("keys of the base to take out; \"loss.NAME\" is a whole term");
  d.param("seeds", &StudySection::seeds)
      .at_least(0)
      .doc("how many, from 0 on, or a list of them; the base's own if absent");
  d.param("leave_one_out", &StudySection::leave_one_out)
      .doc("loss terms (or \"all\"): the base, and once without each of them");
  d.param("add_one_in", &StudySection::add_one_in)
      .doc("loss terms (or \"all\"): the base without any of them, and with one of them at a time");
  d.param("mode", &StudySection::mode)
      .choices({"grid", "one_at_a_time"})
      .doc("every combination of the axes, or the first choices with one axis changed at a time");
}

void AxisSection::declare(Declaration<AxisSection>& d) {
  d.param("name", &AxisSection::name).doc("of the axis in tables and folders; made from the key if absent");
  d.param("key", &AxisSection::key)
      .doc("what is varied, as --set names it: \"encoder.k\", \"loss.NAME.weight\"; several move together");
  d.param("labels", &AxisSection::labels).doc("what the values are called; made from them if absent");
}

void PointSection::declare(Declaration<PointSection>& d) {
  d.param("name", &PointSection::name).required().doc("of the point in tables and folders");
  d.param("set", &PointSection::set).doc("what it changes: \"KEY=VALUE\"");
  d.param("unset", &PointSection::unset).doc("keys that it takes out; \"loss.NAME\" is a whole term");
}

std::uint64_t Study::points() const {
  std::uint64_t count = 1;
  for (const Axis& axis : axes) {
    const std::uint64_t choices = axis.choices.size();
    if (!grid) {
      count += choices - 1;
    } else if (choices != 0 && count > kManyPoints / choices) {
      return kManyPoints;
    } else {
      count *= choices;
    }
  }
  return count;
}

Study read_study(const fs::path& file, const std::vector<Override>& overrides) {
  return StudyReader(file, overrides).read();
}

}  // namespace regulon::core
