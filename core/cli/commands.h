#pragma once
/// The verbs of the command line, one file each. add_VERB adds the verb to `app`, with its options; where the
/// verb is asked for, `run` becomes what does it and returns the exit code; it has
/// to last until the command line is parsed.

#include <CLI/CLI.hpp>
#include <functional>

namespace regulon::cli {

/// The exit code after Ctrl-C.
inline constexpr int kInterrupted = 130;

void add_quickstart(CLI::App& app, std::function<int()>& run);
void add_train(CLI::App& app, std::function<int()>& run);
void add_study(CLI::App& app, std::function<int()>& run);
void add_data(CLI::App& app, std::function<int()>& run);
void add_bench(CLI::App& app, std::function<int()>& run);  ///< `bench step`
void add_report(CLI::App& app, std::function<int()>& run);
void add_eval(CLI::App& app, std::function<int()>& run);
void add_compare(CLI::App& app, std::function<int()>& run);
void add_combine(CLI::App& app, std::function<int()>& run);
void add_encode(CLI::App& app, std::function<int()>& run);
void add_refit(CLI::App& app, std::function<int()>& run);
void add_export(CLI::App& app, std::function<int()>& run);
void add_import(CLI::App& app, std::function<int()>& run);
void add_plugins(CLI::App& app, std::function<int()>& run);
void add_new_plugin(CLI::App& app, std::function<int()>& run);
void add_check_plugin(CLI::App& app, std::function<int()>& run);

}  // namespace regulon::cli
