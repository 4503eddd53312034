/// The program `regulon`: parses the command line, calls the verb, turns errors into messages and exit codes.
/// 0 done, 1 the run failed, 2 bad input, 130 interrupted.

#include <fmt/format.h>
#include <regulon/error.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/cli/check_plugin_command.h"
#include "core/cli/combine_command.h"
#include "core/cli/commands.h"
#include "core/cli/new_plugin_command.h"
#include "core/plugin/call.h"
#include "core/train/kept_arrays.h"

namespace {

constexpr int kRunFailed = 1;
constexpr int kBadInput = 2;

using regulon::cli::BenchStepArguments;
using regulon::cli::CompareArguments;
using regulon::cli::DataArguments;
using regulon::cli::EncodeArguments;
using regulon::cli::EvalArguments;
using regulon::cli::ExportArguments;
using regulon::cli::ImportArguments;
using regulon::cli::PluginsArguments;
using regulon::cli::QuickstartArguments;
using regulon::cli::RefitArguments;
using regulon::cli::ReportArguments;
using regulon::cli::StudyArguments;
using regulon::cli::TrainArguments;

/// Everything that the command line can ask for, and what to do about it.
struct Request {
  TrainArguments train;
  StudyArguments study;
  BenchStepArguments bench_step;
  DataArguments data;
  EvalArguments eval;
  CompareArguments compare;
  regulon::cli::CheckPluginArguments check_plugin;
  regulon::cli::CombineArguments combine;
  regulon::cli::NewPluginArguments new_plugin;
  EncodeArguments encode;
  RefitArguments refit;
  ExportArguments to_peer;
  ImportArguments from_peer;
  ReportArguments report;
  PluginsArguments plugins;
  QuickstartArguments quickstart;
  std::function<int()> run;
};

/// CLI11's own check of this ends its message in the largest double, written out.
CLI::Validator not_negative() {
  return {[](const std::string& text) {
            char* end = nullptr;
            const double value = std::strtod(text.c_str(), &end);
            const bool fits = end != text.c_str() && *end == '\0' && value >= 0 && std::isfinite(value);
            return fits ? std::string() : "expected a finite number of at least 0, found " + text;
          },
          "NOT NEGATIVE"};
}

template <class Arguments>
void add_plugin_path(CLI::App& verb, Arguments& arguments) {
  verb.add_option("--plugin-path", arguments.plugin_path, "One more folder to look for plugins in")
      ->take_all();
}

template <class Arguments>
void add_vocabulary(CLI::App& verb, Arguments& arguments, const std::string& when) {
  verb.add_option("--vocab", arguments.vocabulary,
                  when + " text file whose line i, from 0, is token i, to name tokens by");
}

void add_quickstart(CLI::App& app, Request& request) {
  auto* verb = app.add_subcommand("quickstart",
                                  "Two short studies on toy data with known features, printed and drawn");
  verb->add_option("--out", request.quickstart.out, "Folder to write to")->capture_default_str();
  verb->add_option("--seeds", request.quickstart.seeds, "Seeds of each study")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  verb->callback([&] { request.run = [&] { return regulon::cli::quickstart_command(request.quickstart); }; });
}

void add_train(CLI::App& app, Request& request) {
  auto* verb = app.add_subcommand("train", "Train a sparse autoencoder as a config says");
  verb->add_option("CONFIG", request.train.config, "A TOML file")->required();
  verb->add_option("--set", request.train.overrides, "Override a value of the config: run.steps=100")
      ->take_all();
  verb->add_option("--out", request.train.out, "Folder of the run (runs/NAME)");
  verb->add_flag("--resume", request.train.resume, "Go on where the newest checkpoint in the folder stops");
  verb->add_flag("!--no-report", request.train.report, "Write no report.html at the end");
  add_vocabulary(*verb, request.train, "In the report: a");
  add_plugin_path(*verb, request.train);
  verb->callback([&] { request.run = [&] { return regulon::cli::train_command(request.train); }; });
}

void add_data(CLI::App& app, Request& request) {
  auto* verb = app.add_subcommand("data", "Write a config's toy data and its true features to files");
  verb->add_option("CONFIG", request.data.config, "A TOML file whose [data] source is a toy")->required();
  verb->add_option("--out", request.data.out, "Folder to make")->required();
  verb->add_option("--rows", request.data.rows, "Rows to write")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40))
      ->required();
  verb->add_option("--set", request.data.overrides, "Override a value of the config: run.seed=1")->take_all();
  add_plugin_path(*verb, request.data);
  verb->callback([&] { request.run = [&] { return regulon::cli::data_command(request.data); }; });
}

void add_bench(CLI::App& app, Request& request) {
  auto* bench = app.add_subcommand("bench", "Measure how quick things are here");
  bench->require_subcommand(1);
  auto* verb =
      bench->add_subcommand("step", "A training step, in units of the encoder's float32 matrix product");
  auto& settings = request.bench_step.settings;
  constexpr std::int64_t kMost = 1 << 30;
  verb->add_option("--batch", settings.batch, "Rows of a step")
      ->check(CLI::Range(std::int64_t{1}, kMost))
      ->capture_default_str();
  verb->add_option("--width", settings.width, "Activation width d")
      ->check(CLI::Range(std::int64_t{1}, kMost))
      ->capture_default_str();
  verb->add_option("--features", settings.features, "Dictionary rows n")
      ->check(CLI::Range(std::int64_t{1}, kMost))
      ->capture_default_str();
  verb->add_option("--k", settings.k, "Active features of a row")
      ->check(CLI::Range(std::int64_t{1}, kMost))
      ->capture_default_str();
  verb->add_option("--dead", settings.dead, "Share of the features that are made dead, for AuxK to work on")
      ->check(CLI::Range(0.0, 0.9))
      ->capture_default_str();
  verb->add_option("--encoder", settings.encoder,
                   "Encoder plugin; this and the next two unless given: configs/bench/step.toml's");
  verb->add_option("--activation", settings.activation, "What chooses the codes");
  verb->add_option("--loss", settings.losses, "Loss terms, one or more times")->take_all();
  verb->add_option("--set", settings.overrides, "Override a value of the config that these make")->take_all();
  verb->add_option("--data", settings.data, "Files to train on, in place of made-up rows in memory")
      ->take_all();
  verb->add_option("--threads", settings.threads, "CPU threads; 0: as a run would choose")
      ->capture_default_str();
  verb->add_option("--precision", settings.precision, "Of the screening product: auto, float32, bfloat16")
      ->capture_default_str();
  verb->add_option("--device", settings.device, "cpu, cuda or auto")->capture_default_str();
  verb->add_option("--steps", settings.steps, "Steps to measure")
      ->check(CLI::Range(std::int64_t{1}, kMost))
      ->capture_default_str();
  verb->add_flag("--json", request.bench_step.json, "Print one JSON object");
  add_plugin_path(*verb, request.bench_step);
  verb->callback([&] { request.run = [&] { return regulon::cli::bench_step_command(request.bench_step); }; });
}

void add_study(CLI::App& app, Request& request) {
  auto* verb = app.add_subcommand("study", "Train the runs that a study file describes, and compare them");
  auto& study = request.study;
  verb->add_option("FILE", study.file, "A TOML file with [study]")->required();
  verb->add_option("--set", study.overrides, "Override a value of the base, or of the study: study.seeds=2")
      ->take_all();
  verb->add_option("--out", study.out, "Folder of the study (runs/NAME)");
  verb->add_option("--jobs", study.jobs, "Runs at a time; they share the cores")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  verb->add_option("--shard", study.shard, "Do only the I-th of N parts of the runs: I/N");
  verb->add_flag("--dry-run", study.dry_run, "List the runs, with an estimate of time and disk");
  verb->add_flag("--redo", study.redo, "Train runs again whose config, plugins or data changed since");
  verb->add_flag("!--no-report", study.report, "Write no report.html at the end");
  add_plugin_path(*verb, study);
  verb->callback([&] { request.run = [&] { return regulon::cli::study_command(request.study); }; });
}

void add_report(CLI::App& app, Request& request) {
  auto* verb = app.add_subcommand("report", "Make one HTML file of a run or a study, with plots");
  verb->add_option("FOLDER", request.report.folder, "Folder of a run or a study")->required();
  verb->add_option("--out", request.report.out, "File to write (report.html in the folder)");
  add_vocabulary(*verb, request.report, "Of a run whose data carry token ids: a");
  add_plugin_path(*verb, request.report);
  verb->callback([&] { request.run = [&] { return regulon::cli::report_command(request.report); }; });
}

void add_gap(CLI::App& verb, regulon::cli::EvalArguments& eval) {
  auto* const gap =
      verb.add_flag("--gap", eval.gap, "Compare the encoder's codes with those that solvers find");
  verb.add_option("--solver", eval.solving.solvers,
                  "Solvers of the gap, one or more times; the first is what rows are ranked by")
      ->needs(gap)
      ->take_all();
  verb.add_option("--lambda", eval.solving.lambda,
                  "Price of a code for the gap; unless given: where the lasso has the encoder's L0")
      ->needs(gap)
      ->check(not_negative());
  verb.add_option("--k", eval.solving.k, "Features a row of pursuits; unless given: the encoder's L0")
      ->needs(gap)
      ->check(not_negative());
  verb.add_option("--plot", eval.plot, "Write plots of the gap to this HTML file");
}

void add_eval(CLI::App& app, Request& request) {
  auto* verb = app.add_subcommand("eval", "Measure a finished run on held-out rows");
  verb->add_option("RUN", request.eval.run, "Folder of a run")->required();
  auto* const data = verb->add_option("--data", request.eval.data,
                                      "Files or globs to measure on, in place of the run's held-out rows");
  data->take_all();
  verb->add_option("--tensor", request.eval.tensor,
                   "Name of the matrix in those files, where they hold several")
      ->needs(data);
  verb->add_option("--truth", request.eval.truth,
                   "True features: a safetensors file with `features` [n_true, d]");
  verb->add_option("--rows", request.eval.rows, "Rows to look at, at most")->check(CLI::Range(1, 1 << 30));
  verb->add_flag("--json", request.eval.json, "Print one JSON object");
  verb->add_option("--prune", request.eval.prune,
                   "Keep a code only if it explains more than this of what the row's others leave")
      ->check(not_negative());
  add_plugin_path(*verb, request.eval);
  verb->add_flag("--absorption", request.eval.absorption,
                 "Hold each feature's encoder direction against its own and its neighbour's decoder row");
  verb->add_option("--top", request.eval.top,
                   "Find so many rows for each feature: those where it is strongest")
      ->check(CLI::Range(1, 1024));
  add_vocabulary(*verb, request.eval, "With --top: a");
  verb->add_option("--beside", request.eval.beside,
                   "With --drop: runs with a higher sparsity weight, to hold the curve against")
      ->take_all();
  verb->add_option(
      "--drop", request.eval.drop,
      "Leave codes out, more and more: the `weakest` of each row, or the most `frequent` features");
  add_gap(*verb, request.eval);
  verb->add_option(
      "--table", request.eval.table,
      "Write to this safetensors file: the loss of every row, or what --gap, --absorption or --top find");
  verb->callback([&] { request.run = [&] { return regulon::cli::eval_command(request.eval); }; });
}

void add_compare(CLI::App& app, Request& request) {
  auto* verb =
      app.add_subcommand("compare", "Tell how alike two runs are: their features, and what they miss");
  auto& compare = request.compare;
  verb->add_option("A", compare.a, "Folder of a run")->required();
  verb->add_option("B", compare.b, "Folder of another, on activations of the same width")->required();
  verb->add_option("--data", compare.data,
                   "Files or globs to measure on, in place of the held-out rows of A's data")
      ->take_all();
  verb->add_option("--tensor", compare.tensor, "Name of the matrix in those files, where they hold several");
  verb->add_option("--rows", compare.rows, "Rows to look at, at most")->check(CLI::Range(1, 1 << 30));
  verb->add_flag("--arithmetic", compare.arithmetic, "Look for each one's features as sums of the other's");
  verb->add_option("--seed", compare.seed, "Of the random directions to compare with")->capture_default_str();
  verb->add_flag("--json", compare.json, "Print one JSON object");
  verb->add_option(
      "--out", compare.out,
      "Write nearest and matched features, and the losses of every row, to this safetensors file");
  add_plugin_path(*verb, compare);
  verb->callback([&] { request.run = [&] { return regulon::cli::compare_command(request.compare); }; });
}

void add_encode(CLI::App& app, Request& request) {
  auto* verb = app.add_subcommand("encode", "Write the sparse codes of rows to a safetensors file");
  auto& encode = request.encode;
  verb->add_option("RUN", encode.run, "Folder of a run")->required();
  verb->add_option("--data", encode.data, "Files or globs; unless given: the run's held-out rows")
      ->take_all();
  verb->add_option("--out", encode.out, "File to write: row_offsets, feature_ids, values")->required();
  verb->add_option("--solver", encode.solver,
                   "Solve for the codes: omp, matching_pursuit, gradient_pursuit, fista, cd");
  verb->add_option("--lambda", encode.lambda, "Price of a code, for the solver");
  verb->add_option("--k", encode.k, "Features a row at most, for pursuits");
  verb->add_option("--tolerance", encode.tolerance, "Duality gap of lasso solvers, as a share of |x|^2 / 2")
      ->capture_default_str();
  verb->add_option("--prune", encode.prune,
                   "Keep a code only if it explains more than this of what the row's others leave")
      ->check(not_negative());
  verb->add_flag("--signed", encode.both_signs, "Codes of both signs");
  verb->add_flag("--warm", encode.warm, "Let the solver begin with the encoder's codes");
  verb->add_option("--rows", encode.rows, "Rows at most")->check(not_negative());
  add_plugin_path(*verb, encode);
  verb->callback([&] { request.run = [&] { return regulon::cli::encode_command(request.encode); }; });
}

void add_refit(CLI::App& app, Request& request) {
  auto* verb = app.add_subcommand("refit", "Fit a run's decoder anew with its encoder frozen");
  auto& refit = request.refit;
  verb->add_option("RUN", refit.run, "Folder of a run")->required();
  verb->add_option("--out", refit.out, "Folder of the new run, to be made")->required();
  verb->add_flag("--scale", refit.settings.scale_only, "Only one factor for each dictionary row");
  verb->add_option("--ridge", refit.settings.ridge, "Pull towards the decoder as it was")
      ->check(not_negative())
      ->capture_default_str();
  verb->add_option("--rows", refit.settings.rows, "Training rows to fit on")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40))
      ->capture_default_str();
  verb->add_option("--iterations", refit.settings.iterations, "Of conjugate gradients at most")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 30))
      ->capture_default_str();
  verb->add_flag("--json", refit.json, "Print one JSON object");
  add_plugin_path(*verb, refit);
  verb->callback([&] { request.run = [&] { return regulon::cli::refit_command(request.refit); }; });
}

void add_export(CLI::App& app, Request& request) {
  auto* verb = app.add_subcommand("export", "Write a finished run as another library loads it");
  verb->add_option("RUN", request.to_peer.run, "Folder of a run")->required();
  verb->add_option("--to", request.to_peer.to, "saelens, sparsify or dictionary_learning")->required();
  verb->add_option("--out", request.to_peer.out, "Folder to make")->required();
  verb->add_option("--model-name", request.to_peer.model_name, "Language model that the activations are of");
  verb->add_option("--hook-name", request.to_peer.hook_name, "Where in it they come from");
  add_plugin_path(*verb, request.to_peer);
  verb->callback([&] { request.run = [&] { return regulon::cli::export_command(request.to_peer); }; });
}

void add_import(CLI::App& app, Request& request) {
  auto* verb = app.add_subcommand("import", "Make a run of a dictionary that another library saved");
  verb->add_option("PATH", request.from_peer.path,
                   "Folder saved by SAELens, sparsify or dictionary_learning, or an ae.pt")
      ->required();
  verb->add_option("--out", request.from_peer.out, "Folder of the run, to be made")->required();
  add_plugin_path(*verb, request.from_peer);
  verb->callback([&] { request.run = [&] { return regulon::cli::import_command(request.from_peer); }; });
}

void add_plugins(CLI::App& app, Request& request) {
  auto* verb = app.add_subcommand("plugins", "List what a config can name, or all about one of them");
  verb->add_option("NAME", request.plugins.name, "A plugin, activation or data source");
  add_plugin_path(*verb, request.plugins);
  verb->callback([&] { request.run = [&] { return regulon::cli::plugins_command(request.plugins); }; });
}

/// Words that the verb (or the program) would have understood in the place of `word`.
std::vector<std::string> known_words(const CLI::App& app, const std::string& word) {
  std::vector<std::string> words;
  const auto chosen = app.get_subcommands();
  if (word.rfind('-', 0) == 0) {
    for (const auto* option : (chosen.empty() ? app : *chosen.front()).get_options()) {
      for (const auto& name : option->get_lnames()) words.push_back("--" + name);
    }
  } else if (chosen.empty()) {
    for (const auto* verb : app.get_subcommands([](const CLI::App*) { return true; }))
      words.push_back(verb->get_name());
  }
  return words;
}

int refuse(const CLI::App& app, const CLI::ParseError& error) {
  const auto chosen = app.get_subcommands();
  const std::string verb = chosen.empty() ? "" : " " + chosen.front()->get_name();
  const std::vector<std::string> left = app.remaining(true);
  std::string complaint = error.what();
  if (!left.empty()) {
    const std::string hint = regulon::did_you_mean(left.front(), known_words(app, left.front()));
    complaint = fmt::format("'{}' is not known here{}{}", left.front(), hint.empty() ? "" : ": ", hint);
  }
  fmt::print(stderr, "regulon{0}: {1}\n`regulon{0} --help` says what there is.\n", verb, complaint);
  return kBadInput;
}

int out_of_memory() {
  fmt::print(stderr, "Out of memory. A smaller [data] batch or [model] features needs less.\n");
  return kRunFailed;
}

int run_verb(const Request& request) {
  try {
    return request.run();
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

}  // namespace

int main(int argc, char** argv) {
  Request request;
  CLI::App app{"Regulon trains sparse autoencoders whose regularisers are plugins.", "regulon"};
  app.require_subcommand(1);
  app.set_version_flag("--version", REGULON_VERSION);
  app.footer("The script ./regulon adds: test [ctest options], doctor, setup.");
  add_quickstart(app, request);
  add_train(app, request);
  add_study(app, request);
  add_data(app, request);
  add_bench(app, request);
  add_report(app, request);
  add_eval(app, request);
  add_compare(app, request);
  regulon::cli::add_combine(app, request.combine, request.run);
  add_encode(app, request);
  add_refit(app, request);
  add_export(app, request);
  add_import(app, request);
  add_plugins(app, request);
  regulon::cli::add_new_plugin(app, request.new_plugin, request.run);
  regulon::cli::add_check_plugin(app, request.check_plugin, request.run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return error.get_exit_code() == 0 ? app.exit(error) : refuse(app, error);
  }
  regulon::core::keep_memory();
  return run_verb(request);
}
