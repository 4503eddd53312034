#include "core/train/stages.h"

#include <fmt/format.h>
#include <regulon/error.h>

#include <algorithm>
#include <set>

#include "core/config/config_reader.h"
#include "core/config/edits.h"
#include "core/config/label.h"
#include "core/config/table_reader.h"
#include "core/config/toml_reader.h"
#include "core/io/run_folder.h"

namespace regulon::core {
namespace {

namespace fs = std::filesystem;

/// A [[stage]] as it was written.
struct WrittenStage {
  std::string name;
  std::vector<Edit> edits;
};

std::vector<WrittenStage> read_stages(const doc::Value& value, doc::Problems& problems) {
  const doc::Array* array = value.array();
  if (array == nullptr || array->empty()) {
    problems.add(value.place, "'stage' is not a list of stages", "[[stage]], once for each", found(value),
                 "write [[stage]] with double brackets");
    return {};
  }
  std::vector<WrittenStage> stages;
  std::set<std::string> names;
  for (const doc::Value& item : *array) {
    const doc::Table* table = item.table();
    if (table == nullptr) {
      problems.add(item.place, "not a stage", "[[stage]] and its keys below", found(item), "");
      continue;
    }
    doc::check_keys(*table, "[[stage]]", doc::names_of(declaration_of<StageSection>().specs()), problems);
    const auto section = doc::read_declared<StageSection>(*table, "[[stage]]", problems);
    const std::string name = section.name.empty() ? std::to_string(stages.size() + 1) : section.name;
    if (!is_label(name)) {
      problems.add(item.place, "a stage cannot be called that", kLabelRule, '"' + doc::shown(name) + '"');
    } else if (!names.insert(name).second) {
      problems.add(item.place, fmt::format("two stages are called '{}'", name), "a name for each",
                   "the same twice", "their folders are called so");
    }
    stages.push_back({name, edits_of(*table, section.set, section.unset, problems)});
  }
  return stages;
}

bool edits_key(const std::vector<Edit>& edits, const std::string& key) {
  return std::any_of(edits.begin(), edits.end(), [&](const Edit& edit) { return edit.key == key; });
}

/// Whether `text` ("KEY=VALUE") is of a loss term, or another table, that the stage takes out.
bool takes_out(const WrittenStage& stage, const Override& text) {
  return std::any_of(stage.edits.begin(), stage.edits.end(),
                     [&](const Edit& edit) { return !edit.value && text.starts_with(edit.key + "."); });
}

/// Applies the overrides to a stage's config. What another stage keeps may be taken out in this one.
void apply_overrides(const std::vector<Override>& overrides, const std::vector<WrittenStage>& stages,
                     const WrittenStage& stage, doc::Table& document, doc::Problems& problems) {
  for (const Override& text : overrides) {
    const bool kept_elsewhere = std::any_of(
        stages.begin(), stages.end(), [&](const WrittenStage& other) { return !takes_out(other, text); });
    if (!takes_out(stage, text) || !kept_elsewhere) doc::apply_override(text, document, problems);
  }
}

/// Makes a later stage start from the run in `before`, and freeze it, unless its own edits say otherwise: an
/// `init` of the whole config is the first stage's.
void start_from(const fs::path& before, const fs::path& file, const WrittenStage& stage, doc::Table& document,
                doc::Problems& problems) {
  doc::Entry* model = document.find("model");
  if (model == nullptr || model->value.table() == nullptr) return;  // told when the document is read
  doc::Table& table = *model->value.table();
  if (edits_key(stage.edits, "model.init")) return;
  const fs::path home = (fs::current_path() / file).lexically_normal().parent_path();
  const fs::path there = (fs::current_path() / before).lexically_normal();
  table.set("init", {table.place, there.lexically_relative(home).string()});
  table.set("init_part", {table.place, std::string("both")});
  if (edits_key(stage.edits, "model.freeze")) return;
  const doc::Entry* freeze = table.find("freeze");
  if (freeze != nullptr && std::get_if<std::string>(&freeze->value.held) != nullptr &&
      std::get<std::string>(freeze->value.held) == "decoder") {
    problems.add(freeze->value.place, "'freeze' of [model] contradicts the stages",
                 "freeze = \"init\", which every later stage has by itself", found(freeze->value),
                 "make the control of each stage's own config, without [[stage]]");
  }
  table.set("freeze", {table.place, std::string("init")});
}

/// Where the run of the whole config goes: `out`, or runs/NAME.
fs::path folder_of(const doc::Table& document, const fs::path& out) {
  if (!out.empty()) return out;
  const doc::Entry* run = document.find("run");
  const doc::Table* table = run == nullptr ? nullptr : run->value.table();
  doc::Problems untold;  // comes up again when the document is read
  const auto section =
      table == nullptr ? RunSection() : doc::read_declared<RunSection>(*table, "[run]", untold);
  return fs::path("runs") / section.name;
}

/// Checks a stage's config; what is wrong says in which.
Config config_of(const std::string& stage, const doc::Table& document, const fs::path& file,
                 Catalogue& catalogue, doc::Problems& problems) {
  try {
    return checked_config(document, file, catalogue, problems);
  } catch (const InputError& error) {
    std::vector<Problem> told = error.problems();
    for (Problem& problem : told) problem.what += fmt::format(" (in stage '{}')", stage);
    throw InputError(std::move(told));
  }
}

/// Told before anything is trained; what a stage starts from otherwise is looked at when it begins.
void require_growth(const std::vector<Stage>& before, const Config& config, const WrittenStage& written,
                    const doc::Place& place) {
  if (before.empty() || config.model.freeze != "init" || edits_key(written.edits, "model.init")) return;
  const std::int64_t there = before.back().config.model.features;
  if (config.model.features > there) return;
  throw InputError({place.text, fmt::format("stage '{}' adds no features", written.name),
                    fmt::format("[model] features above {}: those of the stages before count", there),
                    fmt::format("{}", config.model.features),
                    fmt::format("set = [\"model.features={}\"] doubles them", 2 * there)});
}

}  // namespace

void StageSection::declare(Declaration<StageSection>& d) {
  d.param("name", &StageSection::name).doc("what its folder is called; its number if absent");
  d.param("set", &StageSection::set).doc("what differs from the rest of the config, \"KEY=VALUE\"");
  d.param("unset", &StageSection::unset).doc("keys to take out; \"loss.NAME\" for a whole term");
}

std::vector<Stage> load_stages(const fs::path& file, const std::vector<Override>& overrides,
                               const fs::path& out, Catalogue& catalogue) {
  doc::Problems problems;
  OpenedDocument opened = open_document(file, problems);
  const doc::Entry* entry = opened.document.find("stage");
  if (entry == nullptr) {
    for (const Override& text : overrides) doc::apply_override(text, opened.document, problems);
    Config config = checked_config(opened.document, opened.file, catalogue, problems);
    const fs::path folder = folder_of(opened.document, out);
    return {{"", folder, std::move(config)}};
  }
  const std::vector<WrittenStage> written = read_stages(entry->value, problems);
  problems.throw_if_any();
  const doc::Place place = entry->value.place;  // the next line removes the entry
  std::erase_if(opened.document.entries, [](const doc::Entry& e) { return e.key == "stage"; });

  std::vector<Stage> stages;
  for (const WrittenStage& one : written) {
    doc::Problems own;
    doc::Table document = opened.document;
    for (const Edit& edit : one.edits) apply_edit(edit, document, own);
    apply_overrides(overrides, written, one, document, own);
    if (!stages.empty()) start_from(stages.back().folder, opened.file, one, document, own);
    const fs::path whole = folder_of(document, out);
    Config config = config_of(one.name, document, opened.file, catalogue, own);
    require_growth(stages, config, one, place);
    stages.push_back({one.name,
                      stages.size() + 1 == written.size() ? whole : whole / kStagesFolder / one.name,
                      std::move(config)});
  }
  return stages;
}

TrainResult train_stages(const std::vector<Stage>& stages, const PluginHost& host, bool resume,
                         const TrainCallbacks& callbacks, const std::function<void(const Stage&)>& on_stage) {
  if (!resume) RunFolder::require_free(stages.back().folder);
  TrainResult result;
  for (const Stage& stage : stages) {
    if (on_stage) on_stage(stage);
    result = train(stage.config, host, stage.folder, resume, callbacks);
    if (!result.finished) break;
  }
  return result;
}

}  // namespace regulon::core
