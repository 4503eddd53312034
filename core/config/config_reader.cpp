#include "core/config/config_reader.h"

#include "core/config/table_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <string_view>
#include <utility>

namespace regulon::core {
namespace {

/// A kind of thing that a config names.
struct Kind {
  const char* interface_id;
  const char* word;
};
constexpr Kind kSource{"source/1", "data source"};
constexpr Kind kEncoder{"encoder/1", "encoder"};
constexpr Kind kActivation{"activation/1", "activation"};
constexpr Kind kCost{"feature_cost/1", "feature cost"};
constexpr Kind kLoss{"loss_term/1", "loss term"};

constexpr std::size_t kLongestName = 64;

template <class T>
std::vector<std::string> keys_of() {
  return doc::names_of(declaration_of<T>().specs());
}

/// The keys of each section that belong to no plugin.
std::map<std::string, std::vector<std::string>> section_keys() {
  return {{"run", keys_of<RunSection>()},         {"data", keys_of<DataSection>()},
          {"model", keys_of<ModelSection>()},     {"optimiser", keys_of<OptimiserSection>()},
          {"encoder", keys_of<EncoderSection>()}, {"cost", keys_of<CostSection>()},
          {"loss", keys_of<LossSection>()},       {"plugins", keys_of<PluginsSection>()}};
}

/// Keys of a table that are spoken for, and by whom.
class TakenKeys {
 public:
  TakenKeys(std::vector<std::string> keys, const std::string& title) {
    for (std::string& key : keys) owners_.emplace_back(std::move(key), title);
  }

  /// Adds the parameters of `choice`; adds to `problems` those that someone has already.
  void take(const Choice& choice, const Kind& kind, const doc::Place& place, doc::Problems& problems) {
    const std::string owner = fmt::format("{} '{}'", kind.word, choice.plugin);
    for (const std::string& name : doc::names_of(choice.descriptor->params)) {
      const auto it =
          std::find_if(owners_.begin(), owners_.end(), [&](const auto& o) { return o.first == name; });
      if (it != owners_.end()) {
        problems.add(place, fmt::format("{} declares a parameter '{}'", owner, name),
                     fmt::format("another name, as {} has one already", it->second), "",
                     "rename it in the plugin");
      } else {
        owners_.emplace_back(name, owner);
      }
    }
  }

  std::vector<std::string> keys() const {
    std::vector<std::string> keys;
    for (const auto& [key, owner] : owners_) keys.push_back(key);
    return keys;
  }

 private:
  std::vector<std::pair<std::string, std::string>> owners_;
};

/// Reads one document.
class ConfigReader {
 public:
  ConfigReader(const doc::Table& document, Catalogue& catalogue, doc::Problems& problems,
               EmptyLoss empty_loss)
      : document_(document),
        catalogue_(catalogue),
        problems_(problems),
        empty_loss_(empty_loss),
        absent_{document.place, {}} {}

  Config read() {
    check_sections();
    config_.run = plain<RunSection>("run");
    config_.model = plain<ModelSection>("model");
    config_.optimiser = plain<OptimiserSection>("optimiser");
    config_.plugins = plain<PluginsSection>("plugins");
    read_data();
    read_encoder();
    read_cost();
    read_losses();
    check_parties();
    check_together(config_, document_, problems_);
    return std::move(config_);
  }

 private:
  void check_sections() {
    const auto sections = section_keys();
    std::vector<std::string> names;
    names.reserve(sections.size());
    for (const auto& [name, keys] : sections) names.push_back(name);
    for (const doc::Entry& entry : document_.entries) {
      if (sections.count(entry.key) != 0) continue;
      const std::string key = doc::shown(entry.key);
      if (entry.value.table() != nullptr || entry.value.array() != nullptr) {
        problems_.add(entry.value.place, fmt::format("unknown section [{}]", key), "", "",
                      key == "stage" ? "only `regulon train` takes a config with stages, and no stage has any"
                                     : did_you_mean(entry.key, names));
        continue;
      }
      std::string hint = "begin with a section: " + did_you_mean(entry.key, names);
      for (const auto& [name, keys] : sections) {
        if (std::find(keys.begin(), keys.end(), entry.key) != keys.end()) {
          hint = fmt::format("it belongs under [{}]", name);
        }
      }
      problems_.add(entry.value.place, fmt::format("key '{}' stands outside of any section", key), "", "",
                    hint);
    }
  }

  /// The table of a section; an empty one if it is absent or not a table.
  const doc::Table& section(const std::string& name) {
    const doc::Entry* entry = document_.find(name);
    if (entry == nullptr) return absent_;
    if (const doc::Table* table = entry->value.table()) return *table;
    problems_.add(entry->value.place, fmt::format("'{}' is not a section", name),
                  fmt::format("[{}] on a line of its own, its keys below", name), found(entry->value),
                  entry->value.array() != nullptr ? "it is given once, with single brackets" : "");
    return absent_;
  }

  template <class T>
  T plain(const std::string& name) {
    const doc::Table& table = section(name);
    doc::check_keys(table, title(name), keys_of<T>(), problems_);
    return doc::read_declared<T>(table, title(name), problems_);
  }

  void read_data() {
    const doc::Table& table = section("data");
    config_.data = doc::read_declared<DataSection>(table, "[data]", problems_);
    TakenKeys taken(keys_of<DataSection>(), "[data]");
    const bool known =
        choose(config_.source, kSource, "source", config_.data.source, table, "source", "[data]", taken);
    if (known) doc::check_keys(table, "[data]", taken.keys(), problems_);
  }

  void read_encoder() {
    const doc::Table& table = section("encoder");
    const auto common = doc::read_declared<EncoderSection>(table, "[encoder]", problems_);
    TakenKeys taken(keys_of<EncoderSection>(), "[encoder]");
    const bool encoder_known =
        choose(config_.encoder, kEncoder, "encoder", common.plugin, table, "plugin", "[encoder]", taken);
    const bool activation_known = choose(config_.activation, kActivation, "activation", common.activation,
                                         table, "activation", "[encoder]", taken);
    if (encoder_known && activation_known) doc::check_keys(table, "[encoder]", taken.keys(), problems_);
  }

  void read_cost() {
    const doc::Table& table = section("cost");
    config_.cost_section = doc::read_declared<CostSection>(table, "[cost]", problems_);
    TakenKeys taken(keys_of<CostSection>(), "[cost]");
    const bool known =
        config_.cost_section.plugin.empty() ||
        choose(config_.cost, kCost, "cost", config_.cost_section.plugin, table, "plugin", "[cost]", taken);
    if (known) doc::check_keys(table, "[cost]", taken.keys(), problems_);
  }

  void read_losses() {
    const doc::Entry* entry = document_.find("loss");
    const doc::Array* array = entry == nullptr ? nullptr : entry->value.array();
    if (entry != nullptr && array == nullptr) {
      problems_.add(entry->value.place, "'loss' is not a list of loss terms", "[[loss]], once for each term",
                    found(entry->value), "write [[loss]] with double brackets");
      return;
    }
    if (array != nullptr && array->empty() && empty_loss_ == EmptyLoss::allowed) return;
    if (array == nullptr || array->empty()) {
      problems_.add(entry == nullptr ? document_.place : entry->value.place, "there is no loss term",
                    "at least one [[loss]]", "none", "add [[loss]] and below it plugin = \"mse\"");
      return;
    }
    config_.losses.reserve(array->size());
    for (const doc::Value& item : *array) {
      if (const doc::Table* table = item.table()) {
        read_loss(*table);
      } else {
        problems_.add(item.place, "not a loss term", "[[loss]] and its keys below", found(item));
      }
    }
  }

  void read_loss(const doc::Table& table) {
    const auto declaration = declaration_of<LossSection>();
    const std::string title = loss_title(table);
    const doc::Reading reading = doc::read_table(table, title, declaration.specs(), problems_);
    LossSection common;
    for (std::size_t i = 0; i < reading.values.size(); ++i)
      declaration.setters()[i](common, reading.values[i]);
    const auto keys = doc::names_of(declaration.specs());
    const auto weight = std::find(keys.begin(), keys.end(), "weight") - keys.begin();

    LossChoice& loss = config_.losses.emplace_back();
    loss.weight = reading.schedule(static_cast<std::size_t>(weight));
    loss.every = common.every;
    loss.rescale = common.rescale;
    loss.target_l0 = common.target_l0;
    check_steering(loss, table);
    const std::string name = table.find("name") != nullptr ? common.name : common.plugin;
    TakenKeys taken(keys, "[[loss]]");
    if (choose(loss.term, kLoss, name, common.plugin, table, "plugin", title, taken)) {
      doc::check_keys(table, title, taken.keys(), problems_);
      check_loss_name(name, table);
    }
  }

  void check_steering(const LossChoice& loss, const doc::Table& table) {
    const auto corners = loss.weight.corner_values();
    const double least = *std::min_element(corners.begin(), corners.end());
    if (loss.target_l0 <= 0 || least > 0) return;
    problems_.add(table.find("target_l0")->value.place, "a weight that is steered must be above zero",
                  "a weight above 0 at every step", fmt::format("{}", least),
                  "target_l0 multiplies the weight by a factor: give a first guess of it");
  }

  void check_loss_name(const std::string& name, const doc::Table& table) {
    const doc::Entry* entry = table.find("name");
    const doc::Place& place = entry == nullptr ? table.place : entry->value.place;
    const auto letter = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; };
    if (name.empty() || name.size() > kLongestName || !std::all_of(name.begin(), name.end(), letter)) {
      problems_.add(place, "a loss term cannot be called that",
                    fmt::format("1 to {} of the characters A-Z a-z 0-9 _ -", kLongestName),
                    '"' + doc::shown(name) + '"',
                    entry == nullptr ? "give it a name = \"…\" of its own" : "");
    }
    for (const std::string_view own : {"source", "encoder", "activation", "cost", "dictionary"}) {
      if (name != own) continue;
      problems_.add(place, fmt::format("a loss term cannot be called '{}'", name),
                    "a name that the core does not use itself", "", "give it another name = \"…\"");
    }
    const auto [earlier, added] = loss_places_.emplace(name, place);
    if (!added) {
      problems_.add(place, fmt::format("two loss terms are called '{}'", doc::shown(name)), "a name for each",
                    fmt::format("the same at {}", earlier->second.text),
                    "give one of them a name = \"…\" of its own");
    }
  }

  /// "[[loss]] 'neighbours'", as far as that can be told.
  static std::string loss_title(const doc::Table& table) {
    for (const char* key : {"name", "plugin"}) {
      const doc::Entry* entry = table.find(key);
      const auto* text = entry == nullptr ? nullptr : std::get_if<std::string>(&entry->value.held);
      if (text != nullptr) return fmt::format("[[loss]] '{}'", doc::shown(*text));
    }
    return "[[loss]]";
  }

  static std::string title(const std::string& section) { return '[' + section + ']'; }

  /// Finds `plugin`, named by `key` of `table`, and reads its parameters from the table. Whether it is known.
  bool choose(Choice& choice, const Kind& kind, const std::string& name, const std::string& plugin,
              const doc::Table& table, const std::string& key, const std::string& title, TakenKeys& taken) {
    const doc::Entry* entry = table.find(key);
    const bool named =
        entry == nullptr ? !plugin.empty() : std::holds_alternative<std::string>(entry->value.held);
    if (!named) return false;  // missing or of the wrong type: told already
    const doc::Place& place = entry == nullptr ? table.place : entry->value.place;
    choice.plugin = plugin;
    choice.name = name;
    choice.where = table.place.text;
    choice.descriptor = find(kind, plugin, place);
    if (choice.descriptor == nullptr) return false;
    taken.take(choice, kind, place, problems_);
    doc::Reading reading = doc::read_table(table, title, choice.descriptor->params, problems_);
    choice.values = std::move(reading.values);
    choice.scheduled = std::move(reading.scheduled);
    const bool of_loss = std::string_view(kind.interface_id) == kLoss.interface_id;
    parties_.push_back({fmt::format("{} '{}'", kind.word, of_loss ? name : plugin), &choice, table.place});
    return true;
  }

  const PluginDescriptor* find(const Kind& kind, const std::string& name, const doc::Place& place) {
    const PluginDescriptor* descriptor = nullptr;
    try {
      descriptor = catalogue_.find(kind.interface_id, name);
    } catch (const InputError& error) {
      problems_.add(place, error);
      return nullptr;
    }
    if (descriptor == nullptr) {
      const auto names = catalogue_.names(kind.interface_id);
      problems_.add(
          place, fmt::format("unknown {} '{}'", kind.word, doc::shown(name)), "", "",
          names.empty()
              ? fmt::format("there is no {} on the plugin path: see ./regulon plugins", kind.word)
              : other_kind(kind, name) + did_you_mean(name, names) +
                    "; one of your own: build it, and name the folder of its .so with --plugin-path");
    }
    return descriptor;
  }

  /// Says so if `name` is the name of something else.
  std::string other_kind(const Kind& kind, const std::string& name) {
    for (const Kind& other : {kSource, kEncoder, kActivation, kCost, kLoss}) {
      if (std::string_view(other.interface_id) == kind.interface_id) continue;
      const auto names = catalogue_.names(other.interface_id);
      if (std::find(names.begin(), names.end(), name) != names.end()) {
        return fmt::format("'{}' is the name of {} {}; ", name,
                           std::string_view("aeiou").find(*other.word) == std::string_view::npos ? "a" : "an",
                           other.word);
      }
    }
    return "";
  }

  /// Holds needs against what is provided, as soon as those who provide are known.
  void check_parties() {
    std::vector<Party> providers;
    for (const Party& party : parties_) {
      if (party.choice == &config_.encoder || party.choice == &config_.activation) providers.push_back(party);
    }
    if (providers.size() == 2) check_needs(parties_, providers, catalogue_, problems_);
  }

  const doc::Table& document_;
  Catalogue& catalogue_;
  doc::Problems& problems_;
  EmptyLoss empty_loss_;
  doc::Table absent_;
  Config config_;
  std::vector<Party> parties_;  // they point into config_
  std::map<std::string, doc::Place> loss_places_;
};

}  // namespace

Config read_config(const doc::Table& document, Catalogue& catalogue, doc::Problems& problems,
                   EmptyLoss empty_loss) {
  return ConfigReader(document, catalogue, problems, empty_loss).read();
}

}  // namespace regulon::core
