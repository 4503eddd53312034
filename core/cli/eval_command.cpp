#include <fmt/format.h>
#include <regulon/error.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/cli/commands.h"
#include "core/cli/gap_table.h"
#include "core/cli/print.h"
#include "core/io/row_columns.h"
#include "core/io/safetensors.h"
#include "core/plugin/host.h"
#include "core/train/drop_curve.h"
#include "core/train/run.h"

namespace regulon::cli {
namespace {

constexpr std::int64_t kGapRows = 1024;  ///< unless somebody asks for more: solvers take their time

int gap_command(const EvalArguments& arguments, core::Run& run, core::Source& source) {
  run.require_width(source.width());
  const std::int64_t wanted =
      std::min(arguments.rows > 0 ? arguments.rows : kGapRows, source.held_out_rows());
  const at::Tensor rows = source.held_out(0, wanted);
  const auto encode = [&] { return run.encode(rows); };
  const core::GapReport report = core::measure_gap(arguments.solving, run.model().dictionary(), run.costs(),
                                                   run.normalisation().apply(rows), encode);
  if (!arguments.table.empty()) core::write_safetensors(arguments.table, core::row_table(report));
  if (arguments.json) {
    fmt::print("{}\n", core::to_json(report).dump(2));
  } else {
    print_gap(report);
  }
  return 0;
}

int drop_command(const EvalArguments& arguments, core::Run& run, core::Source& source) {
  const core::DropCurve curve = core::drop_curve(
      run, source, arguments.rows > 0 ? arguments.rows : core::kEvaluationRows, arguments.drop);
  if (arguments.json) {
    fmt::print("{}\n", core::to_json(curve).dump(2));
  } else {
    print_drop_curve(curve);
  }
  return 0;
}

/// Throws InputError for options that ask for two different things.
void refuse_both(const EvalArguments& arguments) {
  if (arguments.gap && !arguments.drop.empty()) {
    throw InputError({"--drop", "cannot be had together with --gap", "one of the two", "both",
                      "ask for them one after the other"});
  }
  if (!arguments.drop.empty() && !arguments.table.empty()) {
    throw InputError({"--table", "is by row, and --drop is not", "--json in its place", "--table", {}});
  }
}

}  // namespace

int eval_command(const EvalArguments& arguments) {
  refuse_both(arguments);
  core::PluginHost host(arguments.plugin_path);
  core::Run run(arguments.run, host);
  if (arguments.prune) run.model().prune_above(*arguments.prune);
  std::unique_ptr<core::Source> files;
  if (!arguments.data.empty()) files = core::open_files(arguments.data, host);
  core::Source& source = files ? *files : run.source();
  if (arguments.gap) return gap_command(arguments, run, source);
  if (!arguments.drop.empty()) return drop_command(arguments, run, source);
  const at::Tensor truth =
      arguments.truth.empty() ? at::Tensor() : core::SafetensorsFile(arguments.truth).tensor("features");
  std::optional<core::RowColumnsWriter> writer;
  core::RowListener listener;
  if (!arguments.table.empty()) {
    writer.emplace(arguments.table, std::vector<std::string>{"loss"});
    listener = [&](const at::Tensor& losses) { writer->add({losses}); };
  }
  const core::RunEvaluation evaluation =
      run.evaluate(source, arguments.rows > 0 ? arguments.rows : core::kEvaluationRows, truth, listener);
  if (writer) writer->commit({}, {{"loss_unit", fmt::format("{}", evaluation.held_out.variance)}});
  if (!arguments.json) {
    print_evaluation(evaluation);
    if (evaluation.losses.rows > 0) print_losses(evaluation.losses);
    return 0;
  }
  nlohmann::json object = core::to_json(evaluation.held_out);
  object["losses"] = core::to_json(evaluation.losses);
  if (evaluation.known) object["known_features"] = core::to_json(*evaluation.known);
  if (evaluation.firing) object["known_features"].update(core::to_json(*evaluation.firing));
  fmt::print("{}\n", object.dump(2));
  return 0;
}

}  // namespace regulon::cli
