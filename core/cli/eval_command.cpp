#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/cli/commands.h"
#include "core/cli/print.h"
#include "core/io/safetensors.h"
#include "core/plugin/host.h"
#include "core/train/run.h"

namespace regulon::cli {

int eval_command(const EvalArguments& arguments) {
  core::PluginHost host(arguments.plugin_path);
  core::Run run(arguments.run, host);
  std::unique_ptr<core::Source> files;
  if (!arguments.data.empty()) files = core::open_files(arguments.data, host);
  core::Source& source = files ? *files : run.source();
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
