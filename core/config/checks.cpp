/// What of a config only makes sense together.

#include "core/config/config_reader.h"
#include "core/config/guarded_choice.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace regulon::core {
namespace {

using Words = std::set<std::string>;

/// Always there: the core makes a dense view of any codes, and without a feature cost every feature costs
/// one.
constexpr const char* kCosts = "costs";
const Words kAlways = {"codes.dense", kCosts};

/// What `ask` (needs or provides) says about an object of `choice`. Throws an Error if the plugin throws.
Words asked(const Choice& choice, std::vector<std::string> (Plugin::*ask)() const) {
  const auto object = choice.make();
  Words words;
  guarded(choice, "needs or provides", [&] {
    for (const std::string& word : ((*object).*ask)()) words.insert(word);
  });
  return words;
}

/// The same; what the plugin does wrong is added to `problems`.
Words asked(const Party& party, std::vector<std::string> (Plugin::*ask)() const, doc::Problems& problems) {
  try {
    return asked(*party.choice, ask);
  } catch (const Error& error) {
    for (const Problem& problem : error.problems()) {
      problems.add(party.place, problem.what, problem.expected, problem.found, problem.hint);
    }
    return {};
  }
}

/// Names of `interface_id` that provide `need` as long as nothing is set.
std::vector<std::string> those_that_provide(const std::string& need, const std::string& interface_id,
                                            Catalogue& catalogue) {
  std::vector<std::string> names;
  for (const std::string& name : catalogue.names(interface_id)) {
    try {
      const PluginDescriptor* descriptor = catalogue.find(interface_id, name);
      if (descriptor == nullptr) continue;
      Choice choice;
      choice.plugin = name;
      choice.descriptor = descriptor;
      if (asked(choice, &Plugin::provides).count(need) != 0) names.push_back(name);
    } catch (const Error&) {
      continue;  // a plugin that cannot be used is no advice
    }
  }
  return names;
}

std::string advice(const std::string& need, Catalogue& catalogue) {
  const auto encoders = those_that_provide(need, "encoder/1", catalogue);
  const auto activations = those_that_provide(need, "activation/1", catalogue);
  std::string text;
  if (!encoders.empty()) text = fmt::format("encoders that provide it: {}", fmt::join(encoders, ", "));
  if (!activations.empty()) {
    text += fmt::format("{}activations that provide it: {}", text.empty() ? "" : "; ",
                        fmt::join(activations, ", "));
  }
  return text.empty() ? "no encoder and no activation on the plugin path provides it" : text;
}

/// Where `key` of a section was written, or else the section, or else the document.
doc::Place place_of(const doc::Table& document, const std::string& section, const std::string& key) {
  const doc::Entry* entry = document.find(section);
  if (entry == nullptr) return document.place;
  const doc::Table* table = entry->value.table();
  const doc::Entry* inner = table == nullptr ? nullptr : table->find(key);
  return inner == nullptr ? entry->value.place : inner->value.place;
}

/// The largest value that integer parameter `name` of `choice` ever takes, or zero if it has none.
std::int64_t largest(const Choice& choice, const std::string& name) {
  if (choice.descriptor == nullptr) return 0;
  std::int64_t most = 0;
  for (std::size_t i = 0; i < choice.values.size(); ++i) {
    const auto* value = std::get_if<std::int64_t>(&choice.values[i]);
    if (value == nullptr || choice.descriptor->params[i].name != name) continue;
    most = *value;
    for (const auto& [index, schedule] : choice.scheduled) {
      if (index != i) continue;
      for (const double corner : schedule.corner_values()) {
        most = std::max(most, static_cast<std::int64_t>(corner));
      }
    }
  }
  return most;
}

/// A run's name becomes a folder's.
bool is_file_name(const std::string& name) {
  return !name.empty() && name.size() <= kLongestRunName && name.front() != '.' &&
         std::none_of(name.begin(), name.end(),
                      [](unsigned char c) { return c < 0x20 || c == 0x7f || c == '/' || c == '\\'; });
}

}  // namespace

void check_needs(const std::vector<Party>& parties, const std::vector<Party>& providers, Catalogue& catalogue,
                 doc::Problems& problems) {
  Words provided = kAlways;
  Words needed;
  std::vector<std::string> names;
  for (const Party& provider : providers) {
    provided.merge(asked(provider, &Plugin::provides, problems));
    names.push_back(provider.who);
  }
  for (const Party& party : parties) {
    for (const std::string& need : asked(party, &Plugin::needs, problems)) {
      needed.insert(need);
      if (provided.count(need) != 0) continue;
      problems.add(party.place, fmt::format("{} needs '{}'", party.who, need),
                   "an encoder or activation that provides it",
                   fmt::format("{}, which provide: {}", fmt::join(names, " and "), fmt::join(provided, ", ")),
                   advice(need, catalogue));
    }
  }
  for (const Party& party : parties) {
    const bool is_cost = party.choice->descriptor->interface_id == "feature_cost/1";
    if (!is_cost || needed.count(kCosts) != 0) continue;
    problems.add(party.place, fmt::format("nothing reads the costs of {}", party.who),
                 "a loss term, an encoder or an activation that needs 'costs'",
                 "none among those that the config names", "add what takes costs, or remove [cost]");
  }
}

void check_together(const Config& config, const doc::Table& document, doc::Problems& problems) {
  if (!is_file_name(config.run.name)) {
    problems.add(place_of(document, "run", "name"), "'name' of [run] cannot name a folder",
                 fmt::format("1 to {} characters, no slash, not beginning with a dot", kLongestRunName),
                 '"' + doc::shown(config.run.name) + '"');
  }
  const ModelSection& model = config.model;
  if (model.freeze == "init" && (model.init.empty() || model.init_part != "both")) {
    problems.add(place_of(document, "model", "freeze"), "'freeze' of [model] has nothing to freeze",
                 "init = \"RUN\" beside it, and init_part = \"both\"",
                 model.init.empty() ? "no init" : fmt::format("init_part = \"{}\"", model.init_part),
                 "name the finished run whose features stay as they are");
  }
  const std::int64_t features = config.model.features;
  const std::int64_t k = std::max(largest(config.encoder, "k"), largest(config.activation, "k"));
  if (features > 0 && k > features) {
    problems.add(place_of(document, "encoder", "k"), "'k' of [encoder] exceeds the number of features",
                 fmt::format("at most {}, as [model] features says", features), fmt::format("{}", k),
                 "lower k or raise features");
  }
  const CostSection& cost = config.cost_section;
  if (cost.mean_one && cost.cap > 0.0 && cost.cap < 1.0) {
    problems.add(place_of(document, "cost", "cap"), "'cap' of [cost] contradicts mean_one",
                 "0 (no cap), or at least 1", fmt::format("{}", cost.cap),
                 "costs whose mean is one cannot all lie below one: raise cap or set mean_one = false");
  }
  if (cost.mean_one && cost.least > 1.0) {
    problems.add(place_of(document, "cost", "least"), "'least' of [cost] contradicts mean_one", "at most 1",
                 fmt::format("{}", cost.least),
                 "costs whose mean is one cannot all lie above one: lower least or set mean_one = false");
  }
  if (cost.cap > 0.0 && cost.least > cost.cap) {
    problems.add(place_of(document, "cost", "least"), "'least' of [cost] exceeds its cap",
                 fmt::format("at most {}, the cap", cost.cap), fmt::format("{}", cost.least),
                 "lower least or raise cap");
  }
}

}  // namespace regulon::core
