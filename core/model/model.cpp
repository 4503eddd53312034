#include "core/model/model.h"
#include "core/model/geometric_median.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
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
  weight_ =
      at::randn({features_, width_}, named_generator(seed, "dictionary"), at::TensorOptions(at::kFloat));
  weight_.div_(at::linalg_vector_norm(weight_, 2, at::IntArrayRef({1}), true));
  bias_ = initial_bias(section_.bias_init, sample);
  frozen_features_ = start.frozen_features;
  if (find_tensor(start.weights, "decoder.weight").defined()) {
    copy_start({{"decoder.weight", weight_}, {"decoder.bias", bias_}}, start);
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
  for (const GuardedPlugin* plugin : {&encoder_, &activation_}) require_frozen(*plugin, start.origin);

  weight_.set_requires_grad(true);
  bias_.set_requires_grad(section_.learn_bias);
  register_parameters();
}

void Model::require_frozen(const GuardedPlugin& plugin, const std::string& origin) const {
  if (frozen_features_ == 0) return;
  for (const auto& own : plugin.preparation().parameters()) {
    if (own.tensor.dim() > 0 && own.tensor.size(0) == features_) continue;
    throw InputError({origin, "cannot be frozen", "an encoder and an activation that learn row by row",
                      fmt::format("'{}' of '{}', which all features share", own.name, plugin.name()),
                      "set parameters that give each feature its own, or take another activation"});
  }
}

void Model::copy_start(const NamedTensors& own, const ModelStart& start) const {
  NamedTensors whole;
  for (const auto& [name, tensor] : own) {
    at::Tensor given = find_tensor(start.weights, name);
    const bool by_feature = given.defined() && given.dim() > 0 && given.dim() == tensor.dim() &&
                            start.frozen_features > 0 && given.size(0) == start.frozen_features &&
                            tensor.size(0) == features_ && given[0].sizes() == tensor[0].sizes();
    if (by_feature) given = at::cat({given, tensor.narrow(0, given.size(0), features_ - given.size(0))});
    if (given.defined()) whole.emplace_back(name, given);
  }
  copy_tensors(own, whole, start.origin);
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
  if (any) copy_start(own, start);
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
                         section_.unit_norm && section_.remove_parallel_gradient, frozen_rows()});
  if (section_.learn_bias) parameters_.push_back({"decoder.bias", bias_});
  const auto append = [this](const std::string& prefix, const GuardedPlugin& plugin) {
    for (const auto& own : plugin.preparation().parameters()) {
      parameters_.push_back({prefix + own.name, own.tensor, false, false, frozen_features_});
    }
  };
  append("encoder.", encoder_);
  append("activation.", activation_);
}

std::int64_t Model::frozen_rows() const {
  return section_.freeze == "decoder" ? features_ : frozen_features_;
}

Dictionary Model::dictionary() const { return Dictionary(weight_, bias_, frozen_rows(), section_.unit_norm); }

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
