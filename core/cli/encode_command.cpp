#include <ATen/ops/cat.h>
#include <fmt/format.h>
#include <regulon/error.h>
#include <regulon/solvers.h>

#include <algorithm>
#include <limits>

#include "core/cli/commands.h"
#include "core/cli/new_file.h"
#include "core/io/codes_file.h"
#include "core/plugin/host.h"
#include "core/train/run.h"

namespace regulon::cli {
namespace {

constexpr std::int64_t kEncodeBatch = 4096;  ///< rows

/// Codes of a run's rows, by its own encoder or by a solver on its dictionary.
class RowEncoder {
 public:
  RowEncoder(core::Run& run, const EncodeArguments& arguments) : run_(run), arguments_(arguments) {
    if (!by_solver()) return;
    settings_.solver = arguments.solver;
    settings_.lambda = arguments.lambda;
    settings_.k = arguments.k;
    settings_.non_negative = !arguments.both_signs;
    settings_.tolerance = arguments.tolerance;
    solvers::check(settings_, run.model().features());
  }

  Codes encode(const at::Tensor& rows) {
    if (!by_solver()) return run_.encode(rows);
    const Dictionary dictionary = run_.model().dictionary().detach();
    const at::Tensor batch = run_.normalisation().apply(rows);
    const std::optional<Codes> start =
        arguments_.warm ? std::optional<Codes>(run_.encode(rows).detach()) : std::nullopt;
    const solvers::Solution solution =
        solvers::solve({batch, dictionary.weight(), dictionary.bias(), run_.costs()}, settings_, start);
    objectives_.push_back(solution.objective);
    gaps_.push_back(solution.gap);
    return solution.codes;
  }

  /// What the file holds beside the codes, of each row.
  core::NamedTensors more() const {
    if (objectives_.empty()) return {};
    return {{"objective", at::cat(objectives_)}, {"gap", at::cat(gaps_)}};
  }
  std::map<std::string, std::string> metadata() const {
    if (!by_solver()) return {{"solver", ""}};
    return {{"solver", settings_.solver},
            {"lambda", fmt::format("{}", settings_.lambda)},
            {"k", fmt::format("{}", settings_.k)}};
  }

 private:
  bool by_solver() const { return !arguments_.solver.empty(); }

  core::Run& run_;
  const EncodeArguments& arguments_;
  solvers::Settings settings_;
  std::vector<at::Tensor> objectives_;
  std::vector<at::Tensor> gaps_;
};

}  // namespace

int encode_command(const EncodeArguments& arguments) {
  require_new_file(arguments.out);
  core::PluginHost host(arguments.plugin_path);
  core::Run run(arguments.run, host);
  if (arguments.prune) run.model().prune_above(*arguments.prune);
  std::unique_ptr<core::Source> files;
  if (!arguments.data.empty()) files = core::open_files(arguments.data, host);
  core::Source& source = files ? *files : run.source();
  run.require_width(source.width());
  RowEncoder encoder(run, arguments);
  const std::int64_t most = arguments.rows > 0 ? arguments.rows : std::numeric_limits<std::int64_t>::max();
  // A source that never ends has as many rows as are asked for.
  const std::int64_t wanted =
      std::min(files || arguments.rows > 0 ? most : core::kEvaluationRows, source.held_out_rows());
  core::CodesWriter writer(arguments.out, run.model().features());
  for (std::int64_t first = 0; first < wanted; first += kEncodeBatch)
    writer.add(encoder.encode(source.held_out(first, std::min(kEncodeBatch, wanted - first))));
  writer.commit(encoder.more(), encoder.metadata());
  const double rows = static_cast<double>(std::max<std::int64_t>(1, writer.rows()));
  fmt::print("{} rows, L0 {:.2f}: {}\n", writer.rows(), static_cast<double>(writer.entries()) / rows,
             arguments.out.string());
  return 0;
}

}  // namespace regulon::cli
