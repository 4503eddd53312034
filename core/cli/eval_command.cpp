#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/cli/commands.h"
#include "core/cli/gap_table.h"
#include "core/cli/print.h"
#include "core/io/safetensors.h"
#include "core/plugin/host.h"
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

}  // namespace

int eval_command(const EvalArguments& arguments) {
  core::PluginHost host(arguments.plugin_path);
  core::Run run(arguments.run, host);
  if (arguments.prune) run.model().prune_above(*arguments.prune);
  std::unique_ptr<core::Source> files;
  if (!arguments.data.empty()) files = core::open_files(arguments.data, host);
  core::Source& source = files ? *files : run.source();
  if (arguments.gap) return gap_command(arguments, run, source);
  const at::Tensor truth =
      arguments.truth.empty() ? at::Tensor() : core::SafetensorsFile(arguments.truth).tensor("features");
  const core::RunEvaluation evaluation =
      run.evaluate(source, arguments.rows > 0 ? arguments.rows : core::kEvaluationRows, truth);
  if (!arguments.json) {
    print_evaluation(evaluation);
    return 0;
  }
  nlohmann::json object = core::to_json(evaluation.held_out);
  if (evaluation.known) object["known_features"] = core::to_json(*evaluation.known);
  fmt::print("{}\n", object.dump(2));
  return 0;
}

}  // namespace regulon::cli
