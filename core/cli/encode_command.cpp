#include <ATen/ops/cat.h>
#include <fmt/format.h>
#include <regulon/error.h>
#include <regulon/solvers.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/cli/commands.h"
#include "core/cli/new_file.h"
#include "core/cli/options.h"
#include "core/io/codes_file.h"
#include "core/plugin/host.h"
#include "core/train/run.h"

namespace regulon::cli {
namespace {

struct EncodeArguments {
  std::filesystem::path run;
  std::vector<std::string> data;  ///< files or globs; empty: the run's own held-out rows
  std::filesystem::path out;
  std::string solver;  ///< empty: the run's own encoder
  double lambda = 0;
  std::int64_t k = 0;
  double tolerance = 1e-6;
  std::optional<double> prune;  ///< leave-one-out pruning of the encoder's codes; none: as the run says
  bool both_signs = false;
  bool warm = false;      ///< the solver begins with the encoder's codes
  std::int64_t rows = 0;  ///< 0: all
  std::vector<std::filesystem::path> plugin_path;
};

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

}  // namespace

void add_encode(CLI::App& app, std::function<int()>& run) {
  const auto arguments = std::make_shared<EncodeArguments>();
  auto* verb = app.add_subcommand("encode", "Write the sparse codes of rows to a safetensors file");
  verb->add_option("RUN", arguments->run, "Folder of a run")->required();
  verb->add_option("--data", arguments->data, "Files or globs; unless given: the run's held-out rows")
      ->take_all();
  verb->add_option("--out", arguments->out, "File to write: row_offsets, feature_ids, values")->required();
  verb->add_option("--solver", arguments->solver,
                   "Solve for the codes: omp, matching_pursuit, gradient_pursuit, fista, cd");
  verb->add_option("--lambda", arguments->lambda, "Price of a code, for the solver");
  verb->add_option("--k", arguments->k, "Features a row at most, for pursuits")
      ->check(whole_number(0, 1 << 30));
  verb->add_option("--tolerance", arguments->tolerance,
                   "Duality gap of lasso solvers, as a share of |x|^2 / 2")
      ->capture_default_str();
  verb->add_option("--prune", arguments->prune,
                   "Keep a code only if it explains more than this of what the row's others leave")
      ->check(not_negative());
  verb->add_flag("--signed", arguments->both_signs, "Codes of both signs");
  verb->add_flag("--warm", arguments->warm, "Let the solver begin with the encoder's codes");
  verb->add_option("--rows", arguments->rows, "Rows at most")->check(whole_number(0, std::int64_t{1} << 40));
  add_plugin_path(*verb, arguments->plugin_path);
  verb->callback([arguments, &run] { run = [arguments] { return encode_command(*arguments); }; });
}

}  // namespace regulon::cli
