#include <ATen/TensorOperators.h>
#include <fmt/format.h>
#include <regulon/error.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/cli/commands.h"
#include "core/cli/feature_tables.h"
#include "core/cli/gap_table.h"
#include "core/cli/new_file.h"
#include "core/cli/options.h"
#include "core/cli/print.h"
#include "core/io/row_columns.h"
#include "core/io/safetensors.h"
#include "core/io/vocabulary.h"
#include "core/measure/gap.h"
#include "core/plugin/host.h"
#include "core/report/gap_page.h"
#include "core/train/drop_curve.h"
#include "core/train/run.h"

namespace regulon::cli {
namespace {

struct EvalArguments {
  std::filesystem::path run;
  std::vector<std::string> data;  ///< files or globs; empty: the run's own data
  std::string tensor;             ///< the matrix's name in those files; empty: as the source "files"
  std::filesystem::path truth;    ///< safetensors with `features`; empty: the source's own
  std::int64_t rows = 0;          ///< 0: the default
  bool json = false;
  std::optional<double> prune;                ///< leave-one-out pruning of its codes; none: as the run says
  bool gap = false;                           ///< compare the encoder's codes with solvers'
  core::GapSettings solving;                  ///< for the gap
  bool absorption = false;                    ///< hold encoder directions against decoder rows
  std::int64_t top = 0;                       ///< rows to find for each feature
  std::filesystem::path vocabulary;           ///< text whose line i (from 0) is token i; empty: none
  std::string drop;                           ///< leave codes out: "weakest" or "frequent"; empty: no
  std::vector<std::filesystem::path> beside;  ///< runs to hold against what dropping leaves
  std::filesystem::path plot;                 ///< where to write plots of the gap; empty: nowhere
  std::filesystem::path table;  ///< where to write what was found by row or feature; empty: nowhere
  std::vector<std::filesystem::path> plugin_path;
};

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

/// What is measured on.
void add_row_options(CLI::App& verb, EvalArguments& arguments) {
  auto* const data = verb.add_option("--data", arguments.data,
                                     "Files or globs to measure on, in place of the run's held-out rows");
  data->take_all();
  verb.add_option("--tensor", arguments.tensor, "Name of the matrix in those files, where they hold several")
      ->needs(data);
  verb.add_option("--truth", arguments.truth,
                  "True features: a safetensors file with `features` [n_true, d]");
  verb.add_option("--rows", arguments.rows, "Rows to look at, at most")->check(whole_number(1, 1 << 30));
}

void add_gap_options(CLI::App& verb, EvalArguments& arguments) {
  auto* const gap =
      verb.add_flag("--gap", arguments.gap, "Compare the encoder's codes with those that solvers find");
  verb.add_option("--solver", arguments.solving.solvers,
                  "Solvers of the gap, one or more times; the first is what rows are ranked by")
      ->needs(gap)
      ->take_all();
  verb.add_option("--lambda", arguments.solving.lambda,
                  "Price of a code for the gap; unless given: where the lasso has the encoder's L0")
      ->needs(gap)
      ->check(not_negative());
  verb.add_option("--k", arguments.solving.k, "Features a row of pursuits; unless given: the encoder's L0")
      ->needs(gap)
      ->check(whole_number(0, 1 << 30));
  verb.add_option("--plot", arguments.plot, "Write plots of the gap to this HTML file");
}

}  // namespace

void add_eval(CLI::App& app, std::function<int()>& run) {
  const auto arguments = std::make_shared<EvalArguments>();
  auto* verb = app.add_subcommand("eval", "Measure a finished run on held-out rows");
  verb->add_option("RUN", arguments->run, "Folder of a run")->required();
  add_row_options(*verb, *arguments);
  verb->add_flag("--json", arguments->json, "Print one JSON object");
  verb->add_option("--prune", arguments->prune,
                   "Keep a code only if it explains more than this of what the row's others leave")
      ->check(not_negative());
  add_plugin_path(*verb, arguments->plugin_path);
  verb->add_flag("--absorption", arguments->absorption,
                 "Hold each feature's encoder direction against its own and its neighbour's decoder row");
  verb->add_option("--top", arguments->top, "Find so many rows for each feature: those where it is strongest")
      ->check(whole_number(1, 1024));
  add_vocabulary(*verb, arguments->vocabulary, "With --top: a");
  verb->add_option("--beside", arguments->beside,
                   "With --drop: runs with a higher sparsity weight, to hold the curve against")
      ->take_all();
  verb->add_option(
      "--drop", arguments->drop,
      "Leave codes out, more and more: the `weakest` of each row, or the most `frequent` features");
  add_gap_options(*verb, *arguments);
  verb->add_option(
      "--table", arguments->table,
      "Write to this safetensors file: the loss of every row, or what --gap, --absorption or --top find");
  verb->callback([arguments, &run] { run = [arguments] { return eval_command(*arguments); }; });
}

}  // namespace regulon::cli
