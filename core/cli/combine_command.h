#pragma once
/// The verb `combine`.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/measure/combine.h"

namespace regulon::cli {

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
int combine_command(const CombineArguments& arguments);

/// Adds the verb to `app`; `run` is set when it is asked for.
void add_combine(CLI::App& app, CombineArguments& arguments, std::function<int()>& run);

}  // namespace regulon::cli
