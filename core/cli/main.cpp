/// The program `regulon`: parses the command line, calls the verb, turns errors into messages and exit codes.
/// 0 done, 1 the run failed, 2 bad input, 130 interrupted.

#include <fmt/format.h>
#include <regulon/error.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/cli/commands.h"
#include "core/plugin/call.h"
#include "core/train/kept_arrays.h"

namespace {

constexpr int kRunFailed = 1;
constexpr int kBadInput = 2;

/// The program and the verbs that the command line asked for, each below the one before: `bench`, `step`.
std::vector<const CLI::App*> asked_for(const CLI::App& app) {
  std::vector<const CLI::App*> all{&app};
  for (auto below = app.get_subcommands(); !below.empty(); below = all.back()->get_subcommands())
    all.push_back(below.front());
  return all;
}

/// Words that `verb` (or the program) would have understood in the place of `word`.
std::vector<std::string> known_words(const CLI::App& verb, const std::string& word) {
  std::vector<std::string> words;
  if (word.rfind('-', 0) == 0) {
    for (const auto* option : verb.get_options()) {
      for (const auto& name : option->get_lnames()) words.push_back("--" + name);
    }
  } else {
    for (const auto* below : verb.get_subcommands([](const CLI::App*) { return true; }))
      words.push_back(below->get_name());
  }
  return words;
}

int refuse(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<const CLI::App*> verbs = asked_for(app);
  std::string verb;
  for (std::size_t i = 1; i < verbs.size(); ++i) verb += " " + verbs[i]->get_name();
  const std::vector<std::string> left = app.remaining(true);
  std::string complaint = error.what();
  if (!left.empty()) {
    const std::string hint = regulon::did_you_mean(left.front(), known_words(*verbs.back(), left.front()));
    complaint = fmt::format("'{}' is not known here{}{}", left.front(), hint.empty() ? "" : ": ", hint);
  }
  fmt::print(stderr, "regulon{0}: {1}\n`regulon{0} --help` says what there is.\n", verb, complaint);
  return kBadInput;
}

int out_of_memory() {
  fmt::print(stderr, "Out of memory. A smaller [data] batch or [model] features needs less.\n");
  return kRunFailed;
}

int run_verb(const std::function<int()>& run) {
  try {
    return run();
  } catch (const regulon::InputError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return kBadInput;
  } catch (const regulon::RunError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return kRunFailed;
  } catch (const std::filesystem::filesystem_error& error) {
    fmt::print(stderr, "{}: {}. Check that the path exists and that you may use it.\n",
               error.path1().string(), error.code().message());
    return kBadInput;
  } catch (const std::exception& error) {
    if (regulon::core::is_out_of_memory()) return out_of_memory();
    const std::string text = error.what();
    fmt::print(stderr,
               "Internal error: {}\nThis is a defect of Regulon: please report it with the command.\n",
               text.substr(0, text.find('\n')));
    return kRunFailed;
  }
}

/// Adds the verbs, in the order of --help.
void add_verbs(CLI::App& app, std::function<int()>& run) {
  regulon::cli::add_quickstart(app, run);
  regulon::cli::add_train(app, run);
  regulon::cli::add_study(app, run);
  regulon::cli::add_data(app, run);
  regulon::cli::add_bench(app, run);
  regulon::cli::add_report(app, run);
  regulon::cli::add_eval(app, run);
  regulon::cli::add_compare(app, run);
  regulon::cli::add_combine(app, run);
  regulon::cli::add_encode(app, run);
  regulon::cli::add_refit(app, run);
  regulon::cli::add_export(app, run);
  regulon::cli::add_import(app, run);
  regulon::cli::add_plugins(app, run);
  regulon::cli::add_new_plugin(app, run);
  regulon::cli::add_check_plugin(app, run);
}

}  // namespace

int main(int argc, char** argv) {
  std::function<int()> run;
  CLI::App app{"Regulon trains sparse autoencoders whose regularisers are plugins.", "regulon"};
  app.require_subcommand(1);
  app.set_version_flag("--version", REGULON_VERSION);
  app.footer("The script ./regulon adds: test [ctest options], doctor, setup.");
  add_verbs(app, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return error.get_exit_code() == 0 ? app.exit(error) : refuse(app, error);
  }
  regulon::core::keep_memory();
  return run_verb(run);
}
