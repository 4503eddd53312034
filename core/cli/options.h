#pragma once
/// Options that several verbs have.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace regulon::cli {

/// --plugin-path, one or more times.
void add_plugin_path(CLI::App& verb, std::vector<std::filesystem::path>& plugin_path);
/// --vocab. `when` begins its help, and ends in an article.
void add_vocabulary(CLI::App& verb, std::filesystem::path& vocabulary, const std::string& when);

/// A check of an option: a finite number of at least 0.
CLI::Validator not_negative();

/// A check of an option: a number in [0, most].
CLI::Validator share_up_to(double most);

/// A check of an option: a whole number in [least, most], in plain decimal digits.
CLI::Validator whole_number(std::int64_t least, std::int64_t most);

/// `plugin_path` and then the folders that the config itself names.
std::vector<std::filesystem::path> plugin_folders(const std::vector<std::filesystem::path>& plugin_path,
                                                  const std::filesystem::path& config,
                                                  const std::vector<std::string>& overrides);

}  // namespace regulon::cli
