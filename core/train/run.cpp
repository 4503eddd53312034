#include "core/train/run.h"

#include <ATen/Parallel.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/randn.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <regulon/error.h>
#include <regulon/ops.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "core/data/export_toy.h"
#include "core/data/prefetcher.h"
#include "core/io/event_file.h"
#include "core/io/json_file.h"
#include "core/io/run_folder.h"
#include "core/io/safetensors.h"
#include "core/train/environment.h"
#include "core/train/evaluate_model.h"
#include "core/train/start.h"
#include "core/train/trainer.h"

namespace regulon::core {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kDataStream = 3;
constexpr std::int64_t kSampleRows = 8192;  ///< normalised rows that models initialise themselves from

std::unique_ptr<Source> make_source(const Choice& choice) {
  return std::unique_ptr<Source>(static_cast<Source*>(choice.make().release()));
}

/// Opens the run's data. How wide it is settles how many threads pay.
std::unique_ptr<Source> open_source(const Config& config) {
  auto source = make_source(config.source);
  SourceSetup setup;
  setup.seed = mix_seed(static_cast<std::uint64_t>(config.run.seed), kDataStream);
  setup.batch = config.data.batch;
  setup.base = config.folder();
  source->open(setup);
  use_threads(config.run.threads, config.data.batch * config.model.features * source->width());
  return source;
}

at::Tensor first_rows(Source& source, const Normalisation& normalisation, std::int64_t batch) {
  std::vector<at::Tensor> parts;
  for (std::int64_t step = 0; step * batch < kSampleRows; ++step) {
    parts.push_back(normalisation.apply(source.batch(step)));
  }
  return at::cat(parts);
}

NamedTensors weights_to_save(const Model& model, const Normalisation& normalisation,
                             const at::Tensor& costs) {
  NamedTensors weights = model.weights();
  for (auto& entry : normalisation.tensors()) weights.push_back(std::move(entry));
  weights.emplace_back("feature_costs", costs);
  return weights;
}

/// `last` is the last line of the metrics.
nlohmann::json summary_of(const RunEvaluation& evaluation, const nlohmann::json& last) {
  nlohmann::json summary = {{"last", last}};
  if (evaluation.held_out.rows > 0) summary["held_out"] = to_json(evaluation.held_out);
  if (evaluation.coherence) summary["dictionary"] = to_json(*evaluation.coherence);
  if (evaluation.known) summary["known_features"] = to_json(*evaluation.known);
  if (evaluation.firing) summary["known_features"].update(to_json(*evaluation.firing));
  return summary;
}

/// The source, whose held-out rows have been read through: what could not be measured at the end is told
/// before anything is trained.
std::unique_ptr<Source> open_checked(const Config& config) {
  constexpr std::int64_t kBlock = 4096;
  std::unique_ptr<Source> source = open_source(config);
  const std::int64_t rows = std::min(source->held_out_rows(), kEvaluationRows);
  for (std::int64_t first = 0; first < rows; first += kBlock)
    static_cast<void>(source->held_out(first, std::min(kBlock, rows - first)));
  return source;
}

/// One call of train(): the loop and what it writes.
class Training {
 public:
  Training(const Config& config, const PluginHost& host, const fs::path& folder, bool resume,
           const TrainCallbacks& callbacks)
      : config_(config),
        callbacks_(callbacks),
        source_(open_checked(config)),
        normalisation_(estimate_normalisation(*source_, config.data.normalise)),
        trainer_(config, host, first_rows(*source_, normalisation_, config.data.batch),
                 load_start(config, normalisation_)),
        folder_(folder, run_manifest(config, host, source_->fingerprint()), resume) {
    go_on();
    folder_.cut_metrics(trainer_.step_number());
    events_.emplace(folder_.path(), trainer_.step_number());
  }

  TrainResult run() {
    const std::int64_t first = trainer_.step_number();
    if (callbacks_.on_start) callbacks_.on_start(first);
    began_ = std::chrono::steady_clock::now();
    reported_at_ = began_;
    first_step_ = reported_step_ = first;
    Prefetcher batches(*source_, first, batch_making());
    TrainResult result;
    while (trainer_.step_number() < config_.run.steps) {
      take_step(normalisation_.apply(next_batch(batches)), result.last);
      if (callbacks_.stop && callbacks_.stop() && trainer_.step_number() < config_.run.steps) {
        checkpoint();
        return result;
      }
    }
    finish(result);
    return result;
  }

 private:
  /// From the newest checkpoint. A damaged one is not passed over in silence: the message says what there is
  /// without it.
  void go_on() {
    const auto kept = folder_.checkpoints();
    if (kept.empty()) return;
    const fs::path& path = kept.front().path;
    try {
      trainer_.load(SafetensorsFile(path).tensors(), kept.front().step, path.string());
    } catch (const InputError& error) {
      std::vector<Problem> problems = error.problems();
      std::string& hint = problems.back().hint;
      hint +=
          fmt::format("{}without that file the run {}", hint.empty() ? "" : "; ",
                      kept.size() > 1 ? fmt::format("goes on from step {}", kept[1].step) : "begins anew");
      throw InputError(problems);
    }
  }

  /// Bad data that only shows on the way is a run that failed, not input that was refused.
  static at::Tensor next_batch(Prefetcher& batches) {
    try {
      return batches.next();
    } catch (const InputError& error) {
      throw RunError(error.problems());
    }
  }

  void take_step(const at::Tensor& batch, Report& last) {
    const std::int64_t done = trainer_.step_number() + 1;
    const bool keeps = done % config_.run.checkpoint_every == 0 || done == config_.run.steps;
    if (done % config_.run.report_every == 0 || done == config_.run.steps) {
      Report report;
      trainer_.step(batch, &report);
      stamp(report);
      folder_.append_metrics(to_json(report));
      events_->append(report.step, scalars_of(report));
      if (callbacks_.on_report) callbacks_.on_report(report);
      last = report;
    } else {
      trainer_.step(batch, nullptr);
    }
    if (keeps) checkpoint();
  }

  void stamp(Report& report) {
    const auto now = std::chrono::steady_clock::now();
    const double since = std::chrono::duration<double>(now - reported_at_).count();
    const auto rows = static_cast<double>((report.step - reported_step_) * config_.data.batch);
    report.first_step = first_step_;
    report.rows_per_second = since > 0 ? rows / since : 0;
    report.seconds = std::chrono::duration<double>(now - began_).count();
    reported_at_ = now;
    reported_step_ = report.step;
  }

  void checkpoint() {
    trainer_.require_finite();
    folder_.write_checkpoint(trainer_.step_number(), trainer_.state());
    if (callbacks_.on_checkpoint) callbacks_.on_checkpoint(folder_.path());
  }

  void finish(TrainResult& result) {
    const at::Tensor costs = trainer_.costs();
    try {
      result.evaluation = evaluate_model({trainer_.model(), normalisation_, costs, config_.run.steps - 1},
                                         *source_, kEvaluationRows, {}, {});
    } catch (const InputError& error) {
      throw RunError(error.problems());  // held-out rows that cannot be used: training itself is done
    }
    result.evaluation.coherence = coherence_of(trainer_.model().dictionary().detach().weight());
    result.finished = true;
    if (folder_.finished()) return;  // a run resumed after its end is only looked at
    folder_.write_weights(weights_to_save(trainer_.model(), normalisation_, costs));
    folder_.write_summary(summary_of(result.evaluation, folder_.last_metrics()));
  }

  const Config& config_;
  const TrainCallbacks& callbacks_;
  std::unique_ptr<Source> source_;
  Normalisation normalisation_;
  Trainer trainer_;
  RunFolder folder_;  // after all that may refuse its input: what is refused leaves no folder behind
  std::optional<EventFile> events_;
  std::chrono::steady_clock::time_point began_;
  std::chrono::steady_clock::time_point reported_at_;
  std::int64_t first_step_ = 0;
  std::int64_t reported_step_ = 0;
};

}  // namespace

nlohmann::json run_manifest(const Config& config, const PluginHost& host, const std::string& fingerprint) {
  nlohmann::json plugins = nlohmann::json::object();
  const auto add = [&](const Choice& choice) {
    plugins[choice.descriptor->interface_id + " " + choice.plugin] = host.hash(*choice.descriptor);
  };
  add(config.encoder);
  if (config.cost.descriptor != nullptr) add(config.cost);
  for (const auto& loss : config.losses) add(loss.term);
  nlohmann::json manifest = {{"config", config.resolved()}, {"plugins", plugins},
                             {"data", fingerprint},         {"seed", config.run.seed},
                             {"versions", versions()},      {"environment", environment()}};
  if (!config.model.init.empty()) manifest["init"] = start_fingerprint(config);
  return manifest;
}

std::string data_fingerprint(const Config& config) { return open_source(config)->fingerprint(); }

TrainResult train(const Config& config, const PluginHost& host, const fs::path& folder, bool resume,
                  const TrainCallbacks& callbacks) {
  use_device(config.run.device);
  return Training(config, host, folder, resume, callbacks).run();
}

void write_data(const Config& config, std::int64_t rows, const fs::path& out) {
  write_toy(*open_source(config), rows, out);
}

std::unique_ptr<Source> open_files(const std::vector<std::string>& patterns, PluginHost& host,
                                   const std::string& tensor) {
  Choice choice;
  choice.plugin = "files";
  choice.name = "source";
  choice.descriptor = host.find("source/1", choice.plugin);
  for (const auto& param : choice.descriptor->params) choice.values.push_back(param.default_value);
  const auto set = [&choice](const std::string& name, ParamValue value) {
    for (std::size_t i = 0; i < choice.values.size(); ++i) {
      if (choice.descriptor->params[i].name == name) choice.values[i] = std::move(value);
    }
  };
  set("files", patterns);
  set("tensor", tensor);
  set("held_out", 1.0);
  auto source = make_source(choice);
  SourceSetup setup;
  setup.base = fs::current_path();
  source->open(setup);
  return source;
}

Run::Run(const fs::path& folder, PluginHost& host) : folder_(folder) {
  const fs::path manifest_path = folder / "manifest.json";
  const nlohmann::json manifest = read_json_object(manifest_path);
  if (manifest.is_null() && fs::exists(folder / "study.json")) {
    throw InputError({folder.string(), "is a study, not a run", "one of its runs",
                      "the folder of all of them",
                      fmt::format("give a folder of {}", (folder / "runs").string())});
  }
  if (!manifest.is_object() || !manifest.contains("config")) {
    throw InputError({folder.string(), "is not a run", "a folder with manifest.json and weights.safetensors",
                      "no manifest.json that tells a config", "give the folder that `regulon train` wrote"});
  }
  if (!RunFolder::is_whole(folder)) {
    throw InputError({folder.string(), "holds a run that is not whole",
                      "weights.safetensors, and summary.json, which is written last",
                      "one of them is missing or empty",
                      "finish it: the command that began it, with --resume"});
  }
  config_ = config_from_json(manifest.at("config"), manifest_path.string(), host);
  const fs::path weights_path = folder / "weights.safetensors";
  const NamedTensors weights = SafetensorsFile(weights_path).tensors();
  normalisation_ = Normalisation::from_tensors(weights, weights_path.string());
  costs_ = find_tensor(weights, "feature_costs");
  const at::Tensor rows = find_tensor(weights, "decoder.weight");
  if (!rows.defined() || rows.dim() != 2 || !costs_.defined()) {
    throw InputError({weights_path.string(), "lacks what every run has",
                      "decoder.weight [n, d] and feature_costs [n]", "neither or one of them",
                      "the file is damaged, or not Regulon's"});
  }
  model_ = std::make_unique<Model>(config_, host, rows.size(1));
  use_threads(config_.run.threads, config_.data.batch * rows.numel());
  // What initialisation makes of these rows is replaced by the weights below.
  const at::Tensor any =
      at::randn({256, rows.size(1)}, named_generator(0, "sample"), at::TensorOptions(at::kFloat));
  model_->initialise(any, 0);
  model_->load(weights, weights_path.string());
}

Codes Run::encode(const at::Tensor& rows) {
  const at::NoGradGuard no_grad;
  model_->update_schedules(config_.run.steps - 1);
  const Dictionary dictionary = model_->dictionary().detach();
  EncodeRequest request;
  request.costs = costs_;
  return model_->encode(normalisation_.apply(rows), dictionary, request);
}

at::Tensor Run::decode(const Codes& codes) const {
  const at::NoGradGuard no_grad;
  return normalisation_.invert(ops::decode(codes, model_->dictionary().detach()));
}

void Run::require_width(std::int64_t width) const {
  if (width == model_->width()) return;
  throw InputError({"data", "its rows do not fit the run", fmt::format("width {}", model_->width()),
                    fmt::format("width {}", width), "take activations of the same model and layer"});
}

at::Tensor Run::encoder_directions() {
  const at::NoGradGuard no_grad;
  return model_->encoder_directions(model_->dictionary().detach());
}

Selection Run::selection(bool training) {
  const at::NoGradGuard no_grad;
  EncodeRequest request;
  request.costs = costs_;
  request.step = config_.run.steps - 1;
  request.training = training;
  model_->update_schedules(request.step);
  return model_->selection(model_->dictionary().detach(), request);
}

Source& Run::source() {
  if (!source_ && !has_data()) {
    throw InputError({folder_.string(), "was imported and has no data of its own", "rows to measure on",
                      "none", "name files: `regulon eval RUN --data GLOB`"});
  }
  if (!source_) source_ = open_source(config_);
  return *source_;
}

Coherence Run::coherence() const { return coherence_of(model_->dictionary().detach().weight()); }

RunEvaluation Run::evaluate(Source& source, std::int64_t rows, const at::Tensor& truth,
                            const RowListener& listener) {
  require_width(source.width());
  return evaluate_model({*model_, normalisation_, costs_, config_.run.steps - 1}, source, rows, truth,
                        listener);
}

FeatureRows Run::top_rows(Source& source, std::int64_t rows, std::int64_t k) {
  require_width(source.width());
  FeatureRowsCollector collector(model_->features(), k);
  const std::int64_t wanted = std::min(rows, source.held_out_rows());
  for (std::int64_t first = 0; first < wanted; first += kEvaluationBatch) {
    const std::int64_t count = std::min(kEvaluationBatch, wanted - first);
    collector.add(encode(source.held_out(first, count)), source.held_out_token_ids(first, count));
  }
  return collector.result();
}

}  // namespace regulon::core
