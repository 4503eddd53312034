#include <fmt/format.h>
#include <regulon/error.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/cli/commands.h"
#include "core/cli/compare_table.h"
#include "core/cli/new_file.h"
#include "core/cli/options.h"
#include "core/io/row_columns.h"
#include "core/plugin/host.h"
#include "core/train/compare.h"

namespace regulon::cli {
namespace {

struct CompareArguments {
  std::filesystem::path a;
  std::filesystem::path b;
  std::vector<std::string> data;  ///< files or globs; empty: held-out rows of A's data, or of B's
  std::int64_t rows = 0;          ///< 0: the default
  std::string tensor;             ///< the matrix's name in those files; empty: as the source "files"
  std::uint64_t seed = 0;         ///< of the random directions
  bool arithmetic = false;        ///< features of one as sums of the other's
  bool json = false;
  std::filesystem::path out;  ///< safetensors with the tables of features and rows; empty: none
  std::vector<std::filesystem::path> plugin_path;
};

/// Where rows come from: the files asked for, or else A's own data, or else B's where A's holds out none;
/// null where neither run has data.
core::Source* rows_of(core::Run& a, core::Run& b, core::Source* files) {
  if (files != nullptr) return files;
  const bool a_has = a.has_data() && a.source().held_out_rows() > 0;
  if (!a_has && b.has_data() && b.source().held_out_rows() > 0) return &b.source();
  return a.has_data() ? &a.source() : nullptr;
}

/// `source`, one that `rows_of` gave, for people.
std::string rows_name(core::Run& a, const core::Source* source, const core::Source* files) {
  if (source == files) return "of --data";
  return a.has_data() && source == &a.source() ? "that A holds out" : "that B holds out";
}

int compare_command(const CompareArguments& arguments) {
  require_new_file(arguments.out);
  core::PluginHost host(arguments.plugin_path);
  core::Run a(arguments.a, host);
  core::Run b(arguments.b, host);
  std::unique_ptr<core::Source> files;
  if (!arguments.data.empty()) files = core::open_files(arguments.data, host, arguments.tensor);
  core::Source* const source = rows_of(a, b, files.get());
  std::optional<core::RowColumnsWriter> writer;
  core::LossListener listener;
  if (!arguments.out.empty()) {
    writer.emplace(arguments.out, std::vector<std::string>{"a.loss", "b.loss"});
    listener = [&](const at::Tensor& of_a, const at::Tensor& of_b) { writer->add({of_a, of_b}); };
  }
  core::ComparisonSettings settings;
  settings.seed = arguments.seed;
  core::RunComparison comparison = core::compare_runs(
      a, b, source, arguments.rows > 0 ? arguments.rows : core::kEvaluationRows, settings, listener);
  if (arguments.arithmetic) {
    core::ArithmeticSettings sums;
    sums.seed = arguments.seed;
    core::add_arithmetic(comparison, a, b, sums);
  }
  if (writer) {
    writer->commit(core::feature_tables(comparison),
                   {{"a", arguments.a.string()},
                    {"b", arguments.b.string()},
                    {"loss_unit", fmt::format("{}", comparison.rows ? comparison.rows->unit : 0)}});
  }
  if (arguments.json) {
    fmt::print("{}\n", core::to_json(comparison).dump(2));
  } else {
    fmt::print("A  {}\nB  {}\n", arguments.a.string(), arguments.b.string());
    if (source != nullptr) fmt::print("rows {}\n", rows_name(a, source, files.get()));
    fmt::print("\n");
    print_comparison(comparison);
  }
  return 0;
}

}  // namespace

void add_compare(CLI::App& app, std::function<int()>& run) {
  const auto arguments = std::make_shared<CompareArguments>();
  auto* verb =
      app.add_subcommand("compare", "Tell how alike two runs are: their features, and what they miss");
  verb->add_option("A", arguments->a, "Folder of a run")->required();
  verb->add_option("B", arguments->b, "Folder of another, on activations of the same width")->required();
  verb->add_option("--data", arguments->data,
                   "Files or globs to measure on, in place of the held-out rows of A's data")
      ->take_all();
  verb->add_option("--tensor", arguments->tensor,
                   "Name of the matrix in those files, where they hold several");
  verb->add_option("--rows", arguments->rows, "Rows to look at, at most")->check(whole_number(1, 1 << 30));
  verb->add_flag("--arithmetic", arguments->arithmetic,
                 "Look for each one's features as sums of the other's");
  verb->add_option("--seed", arguments->seed, "Of the random directions to compare with")
      ->check(whole_number(0, std::numeric_limits<std::int64_t>::max()))
      ->capture_default_str();
  verb->add_flag("--json", arguments->json, "Print one JSON object");
  verb->add_option(
      "--out", arguments->out,
      "Write nearest and matched features, and the losses of every row, to this safetensors file");
  add_plugin_path(*verb, arguments->plugin_path);
  verb->callback([arguments, &run] { run = [arguments] { return compare_command(*arguments); }; });
}

}  // namespace regulon::cli
