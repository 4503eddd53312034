#pragma once
/// The verbs of the command line. Each parses nothing: it gets what was asked for, and returns the exit code.

#include "core/measure/gap.h"
#include "core/train/refit.h"
#include "core/train/step_bench.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace regulon::cli {

/// The exit code after Ctrl-C.
inline constexpr int kInterrupted = 130;

struct TrainArguments {
  std::filesystem::path config;
  std::vector<std::string> overrides;  ///< --set a.b=c
  std::filesystem::path out;           ///< empty: runs/NAME
  bool resume = false;
  bool report = true;                              ///< write report.html at the end
  std::filesystem::path vocabulary;                ///< names the report's tokens, line by line; empty: none
  std::vector<std::filesystem::path> plugin_path;  ///< --plugin-path
};
int train_command(const TrainArguments& arguments);

struct DataArguments {
  std::filesystem::path config;
  std::vector<std::string> overrides;
  std::filesystem::path out;
  std::int64_t rows = 0;
  std::vector<std::filesystem::path> plugin_path;
};
int data_command(const DataArguments& arguments);

struct StudyArguments {
  std::filesystem::path file;
  std::vector<std::string> overrides;  ///< --set a.b=c of the base, or study.seeds=2 of the study
  std::filesystem::path out;           ///< empty: runs/NAME
  std::int64_t jobs = 1;
  std::string shard = "1/1";
  bool dry_run = false;
  bool redo = false;
  bool report = true;  ///< write report.html at the end
  std::vector<std::filesystem::path> plugin_path;
};
int study_command(const StudyArguments& arguments);

struct ReportArguments {
  std::filesystem::path folder;      ///< a run's or a study's
  std::filesystem::path out;         ///< the file; empty: report.html in the folder
  std::filesystem::path vocabulary;  ///< text whose line i (from 0) is token i; empty: none
  std::vector<std::filesystem::path> plugin_path;
};
int report_command(const ReportArguments& arguments);

struct EvalArguments {
  std::filesystem::path run;
  std::vector<std::string> data;  ///< files or globs; empty: the run's own data
  std::string tensor;             ///< the matrix's name in those files; empty: as the source "files"
  std::filesystem::path truth;    ///< safetensors with `features`; empty: the source's own
  std::int64_t rows = 0;          ///< 0: the default
  bool json = false;
  std::optional<double> prune;                ///< leave-one-out pruning of its codes; none: as the run says
  bool gap = false;                           ///< compare the encoder's codes with solvers'
  core::GapSettings solving;                  ///< for the gap
  bool absorption = false;                    ///< hold encoder directions against decoder rows
  std::int64_t top = 0;                       ///< rows to find for each feature
  std::filesystem::path vocabulary;           ///< text whose line i (from 0) is token i; empty: none
  std::string drop;                           ///< leave codes out: "weakest" or "frequent"; empty: no
  std::vector<std::filesystem::path> beside;  ///< runs to hold against what dropping leaves
  std::filesystem::path plot;                 ///< where to write plots of the gap; empty: nowhere
  std::filesystem::path table;  ///< where to write what was found by row or feature; empty: nowhere
  std::vector<std::filesystem::path> plugin_path;
};
int eval_command(const EvalArguments& arguments);

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
int compare_command(const CompareArguments& arguments);

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
int encode_command(const EncodeArguments& arguments);

struct RefitArguments {
  std::filesystem::path run;
  std::filesystem::path out;
  core::RefitSettings settings;
  bool json = false;
  std::vector<std::filesystem::path> plugin_path;
};
int refit_command(const RefitArguments& arguments);

struct ExportArguments {
  std::filesystem::path run;
  std::string to;  ///< saelens, sparsify, dictionary_learning
  std::filesystem::path out;
  std::string model_name;  ///< of the language model; empty: not told
  std::string hook_name;   ///< where its activations come from; empty: not told
  std::vector<std::filesystem::path> plugin_path;
};
int export_command(const ExportArguments& arguments);

struct ImportArguments {
  std::filesystem::path path;
  std::filesystem::path out;
  std::vector<std::filesystem::path> plugin_path;
};
int import_command(const ImportArguments& arguments);

struct PluginsArguments {
  std::string name;  ///< empty: list all
  std::vector<std::filesystem::path> plugin_path;
};
int plugins_command(const PluginsArguments& arguments);

struct BenchStepArguments {
  core::StepBenchSettings settings;
  bool json = false;
  std::vector<std::filesystem::path> plugin_path;
};
int bench_step_command(const BenchStepArguments& arguments);

struct QuickstartArguments {
  std::filesystem::path out = "runs/quickstart";
  std::int64_t seeds = 3;
};
int quickstart_command(const QuickstartArguments& arguments);

/// `plugin_path` and then the folders that the config itself names.
std::vector<std::filesystem::path> plugin_folders(const std::vector<std::filesystem::path>& plugin_path,
                                                  const std::filesystem::path& config,
                                                  const std::vector<std::string>& overrides);

}  // namespace regulon::cli
