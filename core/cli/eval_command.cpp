#include <fmt/format.h>
#include <regulon/error.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/cli/commands.h"
#include "core/cli/feature_tables.h"
#include "core/cli/gap_table.h"
#include "core/cli/new_file.h"
#include "core/cli/print.h"
#include "core/io/row_columns.h"
#include "core/io/safetensors.h"
#include "core/io/vocabulary.h"
#include "core/plugin/host.h"
#include "core/report/gap_page.h"
#include "core/train/drop_curve.h"
#include "core/train/run.h"

namespace regulon::cli {
namespace {

constexpr std::int64_t kGapRows = 1024;  ///< unless somebody asks for more: solvers take their time

std::int64_t rows_wanted(const EvalArguments& arguments) {
  return arguments.rows > 0 ? arguments.rows : core::kEvaluationRows;
}

int gap_command(const EvalArguments& arguments, core::Run& run, core::Source& source) {
  run.require_width(source.width());
  const std::int64_t wanted =
      std::min(arguments.rows > 0 ? arguments.rows : kGapRows, source.held_out_rows());
  const at::Tensor rows = source.held_out(0, wanted);
  const auto encode = [&] { return run.encode(rows); };
  const core::GapReport report = core::measure_gap(arguments.solving, run.model().dictionary(), run.costs(),
                                                   run.normalisation().apply(rows), encode);
  if (!arguments.table.empty()) core::write_safetensors(arguments.table, core::row_table(report));
  if (!arguments.plot.empty()) {
    core::report::write_gap_report(report, run.config().run.name, arguments.plot);
  }
  if (arguments.json) {
    fmt::print("{}\n", core::to_json(report).dump(2));
  } else {
    print_gap(report);
  }
  return 0;
}

/// Throws InputError where there is nothing to measure on.
void require_rows(core::Source& source) {
  if (source.held_out_rows() > 0) return;
  throw InputError({"data", "no rows are held out", "rows to measure on", "none",
                    "name files: `regulon eval RUN --data GLOB`"});
}

int drop_command(const EvalArguments& arguments, core::PluginHost& host, core::Run& run,
                 core::Source& source) {
  core::DropCurve curve = core::drop_curve(run, source, rows_wanted(arguments), arguments.drop);
  for (const std::filesystem::path& folder : arguments.beside) {
    core::Run rival(folder, host);
    core::add_rival(curve, run, rival, source);
  }
  if (arguments.json) {
    fmt::print("{}\n", core::to_json(curve).dump(2));
  } else {
    print_drop_curve(curve);
  }
  return 0;
}

int absorption_command(const EvalArguments& arguments, core::Run& run, core::Source& source) {
  const at::Tensor directions = run.encoder_directions();
  if (!directions.defined()) {
    throw InputError({arguments.run.string(), "has an encoder without directions",
                      "one that looks for each feature in one direction (see `regulon plugins`)",
                      run.config().encoder.plugin, "measure a run with such an encoder"});
  }
  const core::Evaluation evaluation = run.evaluate(source, rows_wanted(arguments)).held_out;
  const core::Absorption found = core::absorption_signs(directions, run.model().dictionary().weight(),
                                                        (evaluation.frequency > 0).nonzero().squeeze(1));
  if (!arguments.table.empty()) core::write_safetensors(arguments.table, core::absorption_table(found));
  if (arguments.json) {
    fmt::print("{}\n", core::to_json(found).dump(2));
  } else {
    print_absorption(found, evaluation.frequency);
  }
  return 0;
}

int top_command(const EvalArguments& arguments, core::Run& run, core::Source& source) {
  if (arguments.table.empty() && arguments.json) {
    throw InputError({"--top", "has no JSON form: its tables are large", "--table FILE", "--json", {}});
  }
  const core::Vocabulary words =
      arguments.vocabulary.empty() ? core::Vocabulary() : core::Vocabulary(arguments.vocabulary);
  const core::FeatureRows found = run.top_rows(source, rows_wanted(arguments), arguments.top);
  if (!words.empty()) core::require_labels(found);
  if (!arguments.table.empty()) core::write_safetensors(arguments.table, core::feature_rows_table(found));
  if (arguments.json) {
    const nlohmann::json object = {{"features", found.rows.size(0)}, {"table", arguments.table.string()}};
    fmt::print("{}\n", object.dump(2));
  } else {
    print_feature_rows(found, words);
  }
  return 0;
}

/// What was found feature by feature.
core::NamedTensors feature_table(const core::RunEvaluation& evaluation) {
  core::NamedTensors table = {{"frequency", evaluation.held_out.frequency}};
  const auto append = [&](core::NamedTensors more) {
    for (auto& entry : more) table.push_back(std::move(entry));
  };
  if (evaluation.known) append(core::known_table(*evaluation.known));
  if (evaluation.firing) append(core::firing_table(*evaluation.firing));
  return table;
}

/// Throws InputError for options that ask for two different things.
void refuse_both(const EvalArguments& arguments) {
  std::vector<std::string> asked;
  if (arguments.gap) asked.emplace_back("--gap");
  if (!arguments.drop.empty()) asked.emplace_back("--drop");
  if (arguments.absorption) asked.emplace_back("--absorption");
  if (arguments.top > 0) asked.emplace_back("--top");
  if (asked.size() > 1) {
    throw InputError({asked.back(), "cannot be had together with " + asked.front(), "one of the two", "both",
                      "ask for them one after the other"});
  }
  if (!arguments.beside.empty() && arguments.drop.empty()) {
    throw InputError(
        {"--beside", "has no curve to stand beside", "--drop weakest or --drop frequent", "none", {}});
  }
  if (!arguments.plot.empty() && !arguments.gap) {
    throw InputError({"--plot", "has nothing to draw", "--gap beside it", "none", {}});
  }
  if (!arguments.vocabulary.empty() && arguments.top == 0) {
    throw InputError({"--vocab", "has nothing to print", "--top N beside it", "none", {}});
  }
  if (!arguments.drop.empty() && !arguments.table.empty()) {
    throw InputError({"--table", "is by row, and --drop is not", "--json in its place", "--table", {}});
  }
}

}  // namespace

int eval_command(const EvalArguments& arguments) {
  refuse_both(arguments);
  for (const auto& path : {arguments.table, arguments.plot}) require_new_file(path);
  core::PluginHost host(arguments.plugin_path);
  core::Run run(arguments.run, host);
  if (arguments.prune) run.model().prune_above(*arguments.prune);
  std::unique_ptr<core::Source> files;
  if (!arguments.data.empty()) files = core::open_files(arguments.data, host, arguments.tensor);
  core::Source& source = files ? *files : run.source();
  if (arguments.gap) return gap_command(arguments, run, source);
  if (arguments.absorption || arguments.top > 0) require_rows(source);
  if (!arguments.drop.empty()) return drop_command(arguments, host, run, source);
  if (arguments.absorption) return absorption_command(arguments, run, source);
  if (arguments.top > 0) return top_command(arguments, run, source);
  const at::Tensor truth =
      arguments.truth.empty() ? at::Tensor() : core::SafetensorsFile(arguments.truth).tensor("features");
  std::optional<core::RowColumnsWriter> writer;
  core::RowListener listener;
  if (!arguments.table.empty()) {
    writer.emplace(arguments.table, std::vector<std::string>{"loss"});
    listener = [&](const at::Tensor& losses) { writer->add({losses}); };
  }
  core::RunEvaluation evaluation = run.evaluate(source, rows_wanted(arguments), truth, listener);
  evaluation.coherence = run.coherence();
  if (writer)
    writer->commit(feature_table(evaluation),
                   {{"loss_unit", fmt::format("{}", evaluation.held_out.variance)}});
  if (!arguments.json) {
    print_evaluation(evaluation);
    if (evaluation.losses.rows > 0) print_losses(evaluation.losses);
    return 0;
  }
  nlohmann::json object = core::to_json(evaluation.held_out);
  object["losses"] = core::to_json(evaluation.losses);
  if (evaluation.coherence) object["dictionary"] = core::to_json(*evaluation.coherence);
  if (evaluation.known) object["known_features"] = core::to_json(*evaluation.known);
  if (evaluation.firing) object["known_features"].update(core::to_json(*evaluation.firing));
  fmt::print("{}\n", object.dump(2));
  return 0;
}

}  // namespace regulon::cli
