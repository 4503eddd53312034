#include <fmt/format.h>
#include <regulon/error.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/cli/commands.h"
#include "core/cli/options.h"
#include "core/measure/combine.h"
#include "core/plugin/host.h"
#include "core/train/combine.h"

namespace regulon::cli {
namespace {

struct CombineArguments {
  std::filesystem::path run;
  std::filesystem::path out;
  core::CombineSettings settings;
  std::filesystem::path parts;    ///< text file of combinations; empty: they are chosen
  std::vector<std::string> data;  ///< files or globs; empty: the run's own held-out rows
  std::int64_t rows = 0;          ///< 0: the default
  bool json = false;
  std::vector<std::filesystem::path> plugin_path;
};

constexpr std::int64_t kShown = 10;

/// The first combinations, one a line.
void print_combinations(const core::Combinations& made, const core::CombineSettings& settings) {
  const std::int64_t count = made.parts.size(0);
  const char* const unit = settings.choose == "coactive"  ? "together"
                           : settings.choose == "nearest" ? "cosine"
                                                          : "";
  for (std::int64_t i = 0; i < std::min(kShown, count); ++i) {
    std::string line = fmt::format("{:>8}  =", made.features.size(0) - count + i);
    for (std::int64_t k = 0; k < made.parts.size(1) && made.parts[i][k].item<std::int64_t>() >= 0; ++k)
      line += fmt::format("{}{}", k == 0 ? " " : " + ", made.parts[i][k].item<std::int64_t>());
    if (*unit != '\0') line += fmt::format("   {} {:.3f}", unit, made.scores[i].item<double>());
    fmt::print("{}\n", line);
  }
  if (count > kShown) fmt::print("{:>8}  {} more\n", "", count - kShown);
}

/// An option that the way of choosing does not read is a mistake.
void refuse_idle_options(const CLI::App& verb, const std::string& choose) {
  const auto only = [&](const char* option, bool reads, const char* with) {
    if (reads || verb.count(option) == 0) return;
    throw InputError({option, "does nothing here", with,
                      verb.count("--parts") > 0 ? "--parts" : "--choose " + choose,
                      fmt::format("leave '{}' out", option)});
  };
  const bool chooses = verb.count("--parts") == 0;
  for (const char* const option : {"--choose", "--count", "--of"}) only(option, chooses, "no --parts");
  only("--seed", chooses && choose == "random", "--choose random");
  for (const char* const option : {"--data", "--rows"})
    only(option, chooses && choose == "coactive", "--choose coactive");
}

int combine_command(const CombineArguments& arguments) {
  core::PluginHost host(arguments.plugin_path);
  core::Run run(arguments.run, host);
  std::unique_ptr<core::Source> files;
  if (!arguments.data.empty()) files = core::open_files(arguments.data, host);
  core::CombineSettings settings = arguments.settings;
  if (!arguments.parts.empty()) {
    settings.choose = "given";
    settings.parts = core::read_parts(arguments.parts, run.model().dictionary().weight());
  }
  const core::CombinedRun result = core::combine_run(
      run, settings, files.get(), arguments.rows > 0 ? arguments.rows : core::kEvaluationRows, arguments.out);
  const core::Combinations& made = result.combinations;
  if (arguments.json) {
    const nlohmann::json object = {{"features", run.model().features()},
                                   {"combinations", made.parts.size(0)},
                                   {"of", made.parts.size(1)},
                                   {"choose", settings.choose},
                                   {"rows", result.rows},
                                   {"out", arguments.out.string()}};
    fmt::print("{}\n", object.dump(2));
    return 0;
  }
  print_combinations(made, settings);
  const std::string file = (arguments.out / "features.safetensors").string();
  fmt::print("{} features and {} combinations of {}{}: {}\nlook for them: regulon eval RUN --truth {}\n",
             run.model().features(), made.parts.size(0), settings.choose == "given" ? "up to " : "",
             made.parts.size(1), file, file);
  return 0;
}

}  // namespace

void add_combine(CLI::App& app, std::function<int()>& run) {
  const auto arguments = std::make_shared<CombineArguments>();
  auto* verb =
      app.add_subcommand("combine", "Add up features of a run: combinations that are known to be such");
  core::CombineSettings& settings = arguments->settings;
  verb->add_option("RUN", arguments->run, "Folder of a run")->required();
  verb->add_option("--out", arguments->out, "Folder to make, for features.safetensors and combine.json")
      ->required();
  verb->add_option("--count", settings.count,
                   "Combinations; no feature is in two (as many as there are, up to 100)")
      ->check(whole_number(1, 1 << 30));
  verb->add_option("--of", settings.of, "Features in each")
      ->check(whole_number(2, 16))
      ->capture_default_str();
  verb->add_option("--choose", settings.choose,
                   "Features that are coactive, nearest to each other, or random")
      ->check(CLI::IsMember({"coactive", "nearest", "random"}))
      ->capture_default_str();
  verb->add_option("--parts", arguments->parts,
                   "Text file that says which: one combination a line, ids between commas or spaces");
  verb->add_option("--seed", settings.seed, "Of the random choice")
      ->check(whole_number(0, std::numeric_limits<std::int64_t>::max()))
      ->capture_default_str();
  verb->add_option("--data", arguments->data,
                   "Files or globs to see which are coactive, in place of the run's held-out rows")
      ->take_all();
  verb->add_option("--rows", arguments->rows, "Rows to look at, at most")->check(whole_number(1, 1 << 30));
  verb->add_flag("--json", arguments->json, "Print one JSON object");
  add_plugin_path(*verb, arguments->plugin_path);
  verb->callback([arguments, &run, verb] {
    run = [arguments, verb] {
      refuse_idle_options(*verb, arguments->settings.choose);
      return combine_command(*arguments);
    };
  });
}

}  // namespace regulon::cli
