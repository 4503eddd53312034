#include "core/report/run_page.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <ctime>
#include <span>
#include <system_error>

#include "core/report/words.h"

namespace regulon::core::report {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// A figure of the summary's "held_out", and how to read it.
struct HeldOutFigure {
  const char* name;
  const char* title;
  const char* meaning;
  bool is_share;
};

constexpr HeldOutFigure kHeldOut[] = {
    {"fvu", "FVU", "share of the variance left unexplained; lower is better", false},
    {"explained_variance", "explained variance", "1 - FVU", false},
    {"mse", "squared error", "mean over rows of |x - x̂|², in normalised units", false},
    {"l0", "L0", "active features a row", false},
    {"l1", "L1", "sum of a row's codes", false},
    {"code_length", "code length", "nats a row to name its active features", false},
    {"unused_share", "unused features", "active on none of these rows", true},
    {"cosine", "cosine", "mean of cos(x, x̂); 1 is best", false},
    {"norm_ratio", "norm ratio", "mean of |x̂| / |x|", false},
    {"relative_bias", "relative bias", "E|x̂|² / E⟨x, x̂⟩; below 1 is shrinkage", false}};

/// The same of the summary's "known_features".
constexpr HeldOutFigure kKnown[] = {
    {"mean_best", "mean best cosine", "of each true feature with the nearest alive direction", false},
    {"mcc", "MCC", "mean |cosine| of directions matched one to one with true features", false},
    {"uniqueness", "uniqueness", "true features that are the nearest of some direction, over all directions",
     false},
    {"precision", "precision",
     "when a direction fires, how often its true feature does; mean, dead ones as 0", false},
    {"recall", "recall", "when a true feature fires, how often its direction does", false},
    {"f1", "F1", "harmonic mean of the two, over all directions", false},
    {"true_l0", "true L0", "true features active in a row", false}};

/// The same of the summary's "dictionary".
constexpr HeldOutFigure kDictionary[] = {
    {"mean_nearest", "nearest cosine", "mean |cosine| of a dictionary row with its nearest", false},
    {"closest", "closest pair", "the largest |cosine| of two rows", false},
    {"pairs_above_half", "pairs above 0.5", "of rows, by |cosine|", false}};

std::string model_text(const RunRecord& run) {
  const std::string activation = run.config_text("encoder.activation");
  const std::string cost = run.config_text("cost.plugin");
  std::string text = fmt::format("A {} encoder{}", run.config_text("encoder.plugin"),
                                 activation.empty() ? "" : " with " + activation);
  if (const auto features = run.config_number("model.features"))
    text += fmt::format(", {} features", number_text(*features));
  const std::string losses = fmt::format("{}", fmt::join(run.terms(), " + "));
  if (!losses.empty()) text += ", trained on " + losses;
  if (!cost.empty()) text += ", features priced by " + cost;
  return text + ".";
}

std::string outcome_text(const RunRecord& run) {
  const auto fvu = RunRecord::number(run.summary, "held_out.fvu");
  const auto l0 = RunRecord::number(run.summary, "held_out.l0");
  if (!fvu || !l0) return "";
  if (*fvu > 1) return " It reconstructs held-out rows worse than their mean does: the run diverged.";
  return fmt::format(" On held-out rows it explains {} of the variance with {} active features a row.",
                     share_text(1 - *fvu), number_text(*l0));
}

std::vector<Tile> tiles_of(const RunRecord& run) {
  std::vector<Tile> tiles;
  const auto add = [&](const std::string& path, const std::string& name, const std::string& note, auto text) {
    if (const auto value = RunRecord::number(run.summary, path)) tiles.push_back({name, text(*value), note});
  };
  add("held_out.fvu", "FVU", "variance unexplained, held out", number_text);
  add("held_out.l0", "L0", "active features a row", number_text);
  add("held_out.unused_share", "unused", "features silent on held-out rows", share_text);
  add("last.dead_share", "dead", "features, at the end of training", share_text);
  add("known_features.mean_best", "best cosine", "with true features, mean", number_text);
  const auto known = run.summary.is_object() ? run.summary.find("known_features") : run.summary.end();
  if (!run.summary.is_object() || known == run.summary.end() || !known->is_object()) return tiles;
  if (known->contains("found") && (*known)["found"].is_array() && known->contains("missed")) {
    const std::size_t found = (*known)["found"].size();
    tiles.push_back(
        {"found", fmt::format("{} of {}", found, found + (*known)["missed"].size()), "true features"});
  }
  return tiles;
}

void add_notices(const RunRecord& run, Page& page) {
  if (run.summary.is_null()) {
    const auto steps = run.config_number("run.steps");
    const std::string reached =
        run.metrics.empty() ? "before its first report"
                            : "at step " + number_text(*RunRecord::number(run.metrics.back(), "step"));
    page.notices.push_back(
        fmt::format("This run is not finished: it stands {}{}. `regulon train … --resume` goes on.", reached,
                    steps ? " of " + number_text(*steps) : ""));
  }
  if (run.torn > 0) {
    page.notices.push_back(fmt::format("{} of metrics.jsonl could not be read and {} left out.",
                                       count_text(run.torn, "line"), run.torn == 1 ? "is" : "are"));
  }
  if (!has_charts()) page.notices.emplace_back(kNoCharts);
}

/// Entries of an object as lines of a table: "run.seed", "0".
void flatten(const std::string& path, const json& value, Table& table) {
  if (value.is_object() && !value.empty()) {
    for (const auto& [key, item] : value.items()) flatten(path.empty() ? key : path + "." + key, item, table);
    return;
  }
  const bool of_objects = value.is_array() && !value.empty() && value.front().is_object();
  for (std::size_t i = 0; of_objects && i < value.size(); ++i) {
    const bool named = value[i].contains("name") && value[i]["name"].is_string();
    flatten(fmt::format("{}.{}", path, named ? value[i]["name"].get<std::string>() : std::to_string(i)),
            value[i], table);
  }
  if (of_objects) return;
  const std::string text = value.is_string()
                               ? value.get<std::string>()
                               : value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  table.rows.push_back({{path, "name"}, {text.empty() ? "-" : text, "code long"}});
}

/// When the run last wrote a file of its own, in UTC.
std::string when_text(const fs::path& folder) {
  for (const char* name : {"summary.json", "metrics.jsonl", "manifest.json"}) {
    std::error_code error;
    const auto written = fs::last_write_time(folder / name, error);
    if (error) continue;
    const auto age = fs::file_time_type::clock::now() - written;
    const auto then = std::chrono::system_clock::now() -
                      std::chrono::duration_cast<std::chrono::system_clock::duration>(age);
    return fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(std::chrono::system_clock::to_time_t(then)));
  }
  return "";
}

std::string text_at(const json& object, const char* key) {
  const auto entry = object.find(key);
  if (entry == object.end()) return "-";
  if (entry->is_string()) return entry->get<std::string>();
  if (!entry->is_object()) return entry->dump(-1, ' ', false, json::error_handler_t::replace);
  std::string text;
  for (const auto& [name, value] : entry->items()) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name,
                        value.is_string() ? value.get<std::string>() : value.dump());
  }
  return text;
}

/// Adds to `section` a table of those figures of the summary's `part` that are there, if any are.
void add_figures(const RunRecord& run, const std::string& part, std::span<const HeldOutFigure> figures,
                 const std::string& title, Section& section) {
  Table table{title, {{"measure", ""}, {"value", "number"}, {"what it is", ""}}, {}, "", false, {}};
  for (const HeldOutFigure& figure : figures) {
    const auto value = RunRecord::number(run.summary, part + figure.name);
    if (!value) continue;
    table.rows.push_back({{figure.title, "name"},
                          {figure.is_share ? share_text(*value) : number_text(*value), "number"},
                          {figure.meaning, ""}});
  }
  if (!table.rows.empty()) section.tables.push_back(std::move(table));
}

}  // namespace

Section held_out_section(const RunRecord& run, const Measured& measured) {
  Section section{"Result", {}, {}, {}, {}};
  const auto rows = RunRecord::number(run.summary, "held_out.rows");
  if (!rows) {
    section.text.emplace_back(run.summary.is_null() ? "There is no result yet: the run is not finished."
                                                    : "No rows were held out to measure on.");
    return section;
  }
  add_figures(run, "held_out.", kHeldOut,
              fmt::format("On {} held-out rows, never trained on", number_text(*rows)), section);
  add_figures(run, "dictionary.", kDictionary, "The dictionary's rows among each other", section);
  add_figures(run, "known_features.", kKnown, "Against the true features", section);
  if (auto losses = losses_table(measured)) section.tables.push_back(std::move(*losses));
  return section;
}

Section setup_section(const RunRecord& run) {
  Section section{"What was run", {}, {}, {}, {}};
  Table facts{"", {}, {}, "", false, {}};
  const auto add = [&](const std::string& name, const std::string& text) {
    if (!text.empty()) facts.rows.push_back({{name, "name"}, {text, "long"}});
  };
  add("config", run.config_text("file"));
  add("seed", text_at(run.manifest, "seed"));
  add("steps", run.config_number("run.steps") ? number_text(*run.config_number("run.steps")) : "");
  add("data", run.config_text("data.source"));
  add("data hash", text_at(run.manifest, "data"));
  add("versions", text_at(run.manifest, "versions"));
  add("machine", text_at(run.manifest, "environment"));
  add("last written", when_text(run.folder));
  const json last = run.metrics.empty() ? json() : run.metrics.back();
  if (const auto seconds = RunRecord::number(last, "seconds"))
    add("time", time_text(*seconds) + " of training since it was last started");
  if (const auto rate = RunRecord::number(last, "rows_per_second"))
    add("speed", number_text(*rate) + " rows a second at the last report");
  section.tables.push_back(std::move(facts));
  Table config{"The whole config", {{"key", ""}, {"value", ""}}, {}, "", true, {}};
  flatten("", run.manifest["config"], config);
  section.details.push_back(std::move(config));
  Table plugins{"Plugins and their hashes", {{"plugin", ""}, {"hash", ""}}, {}, "", true, {}};
  if (run.manifest.contains("plugins")) flatten("", run.manifest["plugins"], plugins);
  section.details.push_back(std::move(plugins));
  return section;
}

Page run_page(const RunRecord& run, const Measured& measured) {
  Page page;
  page.kind = "run";
  page.title = run.name;
  page.lead = model_text(run) + outcome_text(run);
  add_notices(run, page);
  page.tiles = tiles_of(run);
  page.sections.push_back(held_out_section(run, measured));
  page.sections.push_back(curves_section(run));
  if (!run.summary.is_null()) page.sections.push_back(features_section(run, measured));
  if (measured.map) page.sections.push_back(rows_section(*measured.map));
  page.sections.push_back(setup_section(run));
  return page;
}

}  // namespace regulon::core::report
