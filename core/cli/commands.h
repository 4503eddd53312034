#pragma once
/// The verbs of the command line. Each parses nothing: it gets what was asked for, and returns the exit code.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace regulon::cli {

struct TrainArguments {
  std::filesystem::path config;
  std::vector<std::string> overrides;  ///< --set a.b=c
  std::filesystem::path out;           ///< empty: runs/NAME
  bool resume = false;
  std::vector<std::filesystem::path> plugin_path;  ///< --plugin-path
};
int train_command(const TrainArguments& arguments);

struct EvalArguments {
  std::filesystem::path run;
  std::vector<std::string> data;  ///< files or globs; empty: the run's own data
  std::filesystem::path truth;    ///< safetensors with `features`; empty: the source's own
  std::int64_t rows = 0;          ///< 0: the default
  bool json = false;
  std::vector<std::filesystem::path> plugin_path;
};
int eval_command(const EvalArguments& arguments);

struct PluginsArguments {
  std::string name;  ///< empty: list all
  std::vector<std::filesystem::path> plugin_path;
};
int plugins_command(const PluginsArguments& arguments);

struct QuickstartArguments {
  std::filesystem::path out = "runs/quickstart";
  std::int64_t seeds = 3;
};
int quickstart_command(const QuickstartArguments& arguments);

}  // namespace regulon::cli
