#include "core/train/trainer.h"

#include <ATen/ops/isfinite.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <regulon/error.h>
#include <regulon/sums.h>

#include "core/measure/evaluation.h"

namespace regulon::core {
namespace {

/// Salts of the run's streams: everything random in a run comes from its seed through one of these.
enum Stream : std::uint64_t { kModelStream = 1, kStepStream = 2 };

Model made_model(const Config& config, const PluginHost& host, const at::Tensor& sample,
                 const ModelStart& start) {
  Model model(config, host, sample.size(1));
  model.initialise(sample, mix_seed(static_cast<std::uint64_t>(config.run.seed), kModelStream), start);
  return model;
}

std::vector<Parameter> all_parameters(const Model& model, const Objective& objective) {
  std::vector<Parameter> all = model.parameters();
  for (auto& own : objective.parameters()) all.push_back(std::move(own));
  return all;
}

Preparation outline_for(const Config& config, const Model& model, const at::Tensor& sample) {
  const Dictionary dictionary = model.dictionary().detach();
  Preparation outline;
  outline.features = model.features();
  outline.width = model.width();
  outline.batch_rows = config.data.batch;
  outline.dictionary_weight = dictionary.weight();
  outline.dictionary_bias = dictionary.bias();
  outline.sample = sample;
  return outline;
}

at::Tensor squared_row_errors(const at::Tensor& batch, const at::Tensor& reconstruction) {
  const at::NoGradGuard no_grad;
  return (batch - reconstruction.detach()).square().sum(1);
}

}  // namespace

Trainer::Trainer(const Config& config, const PluginHost& host, const at::Tensor& sample,
                 const ModelStart& start)
    : config_(config),
      model_(made_model(config, host, sample, start)),
      objective_(config, host),
      costs_(config, host),
      statistics_(model_.features(), model_.width(), config.cost_section.averaging),
      optimiser_(config.optimiser, {}),
      seed_(mix_seed(static_cast<std::uint64_t>(config.run.seed), kStepStream)) {
  const Preparation outline = outline_for(config, model_, sample);
  objective_.prepare(outline, seed_);
  Preparation for_cost = outline;
  for_cost.generator = named_generator(seed_, "cost");
  costs_.prepare(for_cost);
  optimiser_ = Adam(config.optimiser, all_parameters(model_, objective_));
}

StepView Trainer::view(const at::Tensor& batch, const Dictionary& dictionary, std::uint64_t seed) {
  const FeatureStats stats = statistics_.view();
  EncodeRequest request;
  request.costs = costs_.at(step_, stats, dictionary);
  request.step = step_;
  request.seed = seed;
  request.training = true;
  model_.update_schedules(step_);
  return StepView(StepInputs{step_, seed, batch, model_.encode(batch, dictionary, request), dictionary,
                             request.costs, stats, model_.encoder_directions(dictionary),
                             model_.encoder_parameters(),
                             [this, batch, dictionary, request](const Selection& selection) {
                               return model_.encode_with(selection, batch, dictionary, request);
                             }});
}

void Trainer::step(const at::Tensor& batch, Report* report) {
  const std::uint64_t seed = mix_seed(seed_, static_cast<std::uint64_t>(step_));
  if (clock_ != nullptr) clock_->start();
  const Dictionary dictionary = model_.dictionary();
  const StepView step_view = view(batch, dictionary, seed);
  lap(Phase::encode);
  if (clock_ != nullptr) {
    static_cast<void>(step_view.reconstruction());  // made on first use: here it has a time of its own
    lap(Phase::decode);
  }
  const at::Tensor loss = objective_.value(step_view, report != nullptr ? &report->terms : nullptr);
  // The optimiser changes the dictionary in place: what is measured of this step has to be made before it.
  const bool acts = objective_.acts_after_step();
  const at::Tensor row_errors =
      report != nullptr || acts ? squared_row_errors(batch, step_view.reconstruction()) : at::Tensor();
  lap(Phase::terms);
  if (loss.defined()) optimiser_.backward(loss);
  lap(Phase::backward);

  const double rate = learning_rate_at(config_.optimiser, step_, config_.run.steps);
  const double norm = optimiser_.step(rate, report != nullptr);
  lap(Phase::optimiser);
  statistics_.update(step_view.codes());
  model_.observe(step_view.codes());
  objective_.steer(step_view.codes(), step_);
  if (acts) after_step(batch, row_errors, seed);
  ++step_;
  lap(Phase::statistics);
  if (report == nullptr) return;
  report->learning_rate = rate;
  report->gradient_norm = norm;
  measure(batch, row_errors, step_view.codes(), *report);
  report->figures = model_.report();
  report->figures.merge(objective_.report());
  lap(Phase::report);
}

void Trainer::lap(Phase phase) {
  if (clock_ != nullptr) clock_->lap(phase);
}

void Trainer::after_step(const at::Tensor& batch, const at::Tensor& row_errors, std::uint64_t seed) {
  const at::NoGradGuard no_grad;
  const Dictionary dictionary = model_.dictionary().detach();
  UpdateView update;
  update.step = step_;
  update.dictionary_weight = dictionary.weight();
  update.dictionary_bias = dictionary.bias();
  update.frozen_rows = dictionary.frozen_rows();
  for (const auto& [name, tensor] : model_.encoder_parameters())
    update.encoder_parameters[name] = tensor.detach();
  update.batch = batch;
  update.row_errors = row_errors;
  update.stats = statistics_.view();
  update.reset_optimiser = [this](const at::Tensor& ids) {
    optimiser_.reset_features(ids, model_.features());
  };
  objective_.after_step(update, seed);
}

void Trainer::measure(const at::Tensor& batch, const at::Tensor& row_errors, const Codes& codes,
                      Report& report) const {
  const at::NoGradGuard no_grad;
  report.step = step_;
  report.steps = config_.run.steps;
  for (const auto& term : report.terms) report.loss += term.weighted;
  const double error = ops::total(row_errors).item<double>();
  const double spread = ops::total((batch - batch.mean(0)).square()).item<double>();
  report.fvu = spread > 0 ? error / spread : 0;
  report.l0 = mean_l0(codes);
  report.dead_share = statistics_.dead_share(config_.run.dead_after);
}

void Trainer::require_finite() const {
  for (const auto& parameter : all_parameters(model_, objective_)) {
    if (at::isfinite(parameter.tensor.detach()).all().item<bool>()) continue;
    throw RunError(
        {fmt::format("step {}", step_), fmt::format("{} is not finite any more", parameter.name),
         "finite numbers", "infinity or NaN",
         "lower [optimiser] learning_rate, set clip, or lower the weights of the loss terms; the last "
         "checkpoint is from before"});
  }
}

NamedTensors Trainer::state() const {
  NamedTensors all = model_.weights();
  for (const NamedTensors& part :
       {optimiser_.state(), statistics_.state(), objective_.state(), costs_.state()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

void Trainer::load(const NamedTensors& state, std::int64_t step, const std::string& origin) {
  const at::NoGradGuard no_grad;
  model_.load(state, origin);
  optimiser_.load(state, origin);
  statistics_.load(state, origin);
  copy_tensors(objective_.state(), state, origin);
  copy_tensors(costs_.state(), state, origin);
  step_ = step;
}

}  // namespace regulon::core
