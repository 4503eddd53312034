#include "core/model/model.h"
#include "core/model/geometric_median.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <regulon/error.h>
#include <regulon/ops.h>

#include <utility>

namespace regulon::core {

namespace {

Selection::Precision precision_named(const std::string& word) {
  if (word == "float32") return Selection::Precision::float32;
  return word == "bfloat16" ? Selection::Precision::bfloat16 : Selection::Precision::automatic;
}

at::Tensor initial_bias(const std::string& how, const at::Tensor& sample) {
  if (how == "mean") return sample.mean(0).clone();
  if (how == "geometric_median") return geometric_median(sample);
  return at::zeros({sample.size(1)}, at::kFloat);
}

}  // namespace

Model::Model(const Config& config, const PluginHost& host, std::int64_t width)
    : encoder_choice_(config.encoder),
      activation_choice_(config.activation),
      section_(config.model),
      encoder_(config.encoder.make(), config.encoder.name, host.origin(*config.encoder.descriptor)),
      activation_(config.activation.make(), config.activation.name,
                  host.origin(*config.activation.descriptor)),
      features_(config.model.features),
      width_(width),
      batch_rows_(config.data.batch),
      precision_(precision_named(config.run.precision)) {}

void Model::initialise(const at::Tensor& sample, std::uint64_t seed, const ModelStart& start) {
  const at::Tensor rows =
      at::randn({features_, width_}, named_generator(seed, "dictionary"), at::TensorOptions(at::kFloat));
  weight_ = rows / at::linalg_vector_norm(rows, 2, at::IntArrayRef({1}), true);
  bias_ = initial_bias(section_.bias_init, sample);
  if (find_tensor(start.weights, "decoder.weight").defined()) {
    copy_tensors({{"decoder.weight", weight_}, {"decoder.bias", bias_}}, start.weights, start.origin);
  }

  Preparation outline;
  outline.features = features_;
  outline.width = width_;
  outline.batch_rows = batch_rows_;
  outline.dictionary_weight = weight_;
  outline.dictionary_bias = bias_;
  outline.sample = sample;
  outline.generator = named_generator(seed, "encoder");
  encoder_.prepare(outline);
  outline.generator = named_generator(seed, "activation");
  activation_.prepare(outline);
  take_over(start, "encoder.", encoder_);
  start_activation(sample, seed);
  take_over(start, "activation.", activation_);

  weight_.set_requires_grad(true);
  bias_.set_requires_grad(section_.learn_bias);
  register_parameters();
}

void Model::take_over(const ModelStart& start, const std::string& prefix, const GuardedPlugin& plugin) {
  NamedTensors own;
  for (const auto* list : {&plugin.preparation().parameters(), &plugin.preparation().states()}) {
    for (const auto& one : *list) own.emplace_back(prefix + one.name, one.tensor);
  }
  bool any = false;
  for (const auto& [name, tensor] : start.weights) {
    if (name.rfind(prefix, 0) != 0) continue;
    any = true;
    if (find_tensor(own, name).defined()) continue;
    throw InputError({start.origin, "cannot be started from",
                      "what '" + plugin.name() + "' of this config learns", "'" + name + "' beside it",
                      "use the settings of [encoder] that the run there has"});
  }
  if (any) copy_tensors(own, start.weights, start.origin);
}

void Model::start_activation(const at::Tensor& sample, std::uint64_t seed) {
  const at::NoGradGuard no_grad;
  EncodeRequest request;
  request.costs = at::ones({features_}, at::kFloat);
  request.seed = seed;
  static_cast<Activation&>(activation_.object()).start([&](const Selection& selection) {
    return encode_with(selection, sample, dictionary(), request);
  });
}

void Model::register_parameters() {
  parameters_.clear();
  parameters_.push_back({"decoder.weight", weight_, section_.unit_norm,
                         section_.unit_norm && section_.remove_parallel_gradient});
  if (section_.learn_bias) parameters_.push_back({"decoder.bias", bias_});
  for (const auto& own : encoder_.preparation().parameters()) {
    parameters_.push_back({"encoder." + own.name, own.tensor});
  }
  for (const auto& own : activation_.preparation().parameters()) {
    parameters_.push_back({"activation." + own.name, own.tensor});
  }
}

Dictionary Model::dictionary() const { return Dictionary(weight_, bias_, 0, section_.unit_norm); }

void Model::update_schedules(std::int64_t step) {
  encoder_choice_.update(encoder_.object(), step);
  activation_choice_.update(activation_.object(), step);
}

Selection Model::selection(const Dictionary& dictionary, const EncodeRequest& request) {
  const ActivationView view{request.step, request.training, request.costs, dictionary.detach()};
  return static_cast<Activation&>(activation_.object()).selection(view);
}

Codes Model::encode(const at::Tensor& batch, const Dictionary& dictionary, const EncodeRequest& request) {
  Selection selection = this->selection(dictionary, request);
  selection.times = times_;
  if (!request.training) selection.window = 0;  // near misses are for gradients
  if (request.training) {
    last_selection_ = selection;
    if (selection.thresholds.defined()) last_selection_.thresholds = selection.thresholds.detach();
  }
  const Codes codes = encode_with(selection, batch, dictionary, request);
  if (request.training || section_.prune_above < 0) return codes;
  return ops::prune(codes, batch, dictionary, section_.prune_above);
}

Codes Model::encode_with(const Selection& selection, const at::Tensor& batch, const Dictionary& dictionary,
                         const EncodeRequest& request) {
  Selection screened = selection;
  screened.precision = precision_;
  const EncodeView view{batch,
                        dictionary,
                        std::move(screened),
                        request.costs,
                        request.step,
                        request.training,
                        named_generator(request.seed, "encoder")};
  return encoder_.encode(view, request.check_values);
}

void Model::observe(const Codes& codes) {
  const at::NoGradGuard no_grad;
  static_cast<Activation&>(activation_.object()).observe(codes, last_selection_);
}

std::map<std::string, at::Tensor> Model::encoder_parameters() const {
  std::map<std::string, at::Tensor> parameters;
  for (const auto& own : encoder_.preparation().parameters()) parameters.emplace(own.name, own.tensor);
  return parameters;
}

NamedTensors Model::weights() const {
  NamedTensors all{{"decoder.weight", weight_}, {"decoder.bias", bias_}};
  const auto append = [&all](const std::string& prefix, const std::vector<Preparation::Registered>& tensors) {
    for (const auto& own : tensors) all.emplace_back(prefix + own.name, own.tensor);
  };
  append("encoder.", encoder_.preparation().parameters());
  append("encoder.", encoder_.preparation().states());
  append("activation.", activation_.preparation().parameters());
  append("activation.", activation_.preparation().states());
  return all;
}

void Model::load(const NamedTensors& weights, const std::string& origin) {
  copy_tensors(this->weights(), weights, origin);
}

std::map<std::string, double> Model::report() {
  std::map<std::string, double> figures;
  for (auto* plugin : {&encoder_, &activation_}) {
    for (const auto& [name, value] : plugin->report()) figures[plugin->name() + "." + name] = value;
  }
  return figures;
}

}  // namespace regulon::core
