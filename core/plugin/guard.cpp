#include "core/plugin/guard.h"
#include <ATen/ops/equal.h>
#include <ATen/ops/isfinite.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include "core/plugin/codes_check.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

namespace regulon::core {
namespace {

constexpr const char* kReadOnly = "Work on a copy, made with clone(): other terms read the same tensors";

std::string shape_text(const at::Tensor& tensor) {
  return fmt::format("[{}]", fmt::join(tensor.sizes(), ", "));
}

Problem wrong(std::string what, std::string expected, std::string found, std::string hint) {
  return {{}, std::move(what), std::move(expected), std::move(found), std::move(hint)};
}

/// The problems that a plugin has with its parameters, placed at `where` unless it said a place itself.
std::vector<Problem> placed(std::vector<Problem> problems, const std::string& where) {
  for (Problem& problem : problems) {
    if (problem.where.empty()) problem.where = where;
  }
  return problems;
}

/// What a returned tensor has to be; `what` is empty if it is.
Problem check_tensor(const at::Tensor& tensor, at::IntArrayRef sizes, const at::Tensor& like,
                     bool same_dtype) {
  const char* mend = "Mend what the plugin returns";
  if (!tensor.defined()) return wrong("it returned nothing", "a tensor", "an undefined one", mend);
  if (!tensor.sizes().equals(sizes)) {
    return wrong("it returned a tensor of the wrong shape", fmt::format("[{}]", fmt::join(sizes, ", ")),
                 shape_text(tensor), sizes.empty() ? "Reduce it, for example with mean()" : mend);
  }
  const bool dtype_fits =
      same_dtype ? tensor.scalar_type() == like.scalar_type() : tensor.is_floating_point();
  if (!dtype_fits) {
    return wrong("it returned a tensor of the wrong dtype",
                 same_dtype ? c10::toString(like.scalar_type()) : "a floating dtype",
                 c10::toString(tensor.scalar_type()), mend);
  }
  if (tensor.device() != like.device()) {
    return wrong("it returned a tensor on the wrong device", like.device().str(), tensor.device().str(),
                 "Make new tensors with the options() of the batch or the dictionary");
  }
  return {};
}

/// Whether anything that a term can be computed from requires a gradient.
bool learns(const StepView& step) {
  const Codes& codes = step.codes();
  const at::Tensor& values = codes.is_sparse() ? codes.values() : codes.to_dense();
  const auto& parameters = step.encoder_parameters();
  return values.requires_grad() || step.dictionary().weight().requires_grad() ||
         step.dictionary().bias().requires_grad() ||
         std::any_of(parameters.begin(), parameters.end(),
                     [](const auto& named) { return named.second.requires_grad(); });
}

Problem check_value(const at::Tensor& value, const StepView& step, bool check_values) {
  Problem problem = check_tensor(value, {}, step.batch(), false);
  if (!problem.what.empty()) return problem;
  if (at::GradMode::is_enabled() && !value.requires_grad() && learns(step)) {
    return wrong(
        "its value cannot be learnt from", "a scalar that requires grad", "one that does not",
        "Compute it from the codes, the reconstruction or the dictionary without detach() (and declare the "
        "need \"codes.gradient\" if it reads only the codes); to sit a step out, return an undefined tensor");
  }
  if (!check_values) return {};
  const double number = value.item<double>();
  if (std::isfinite(number)) return {};
  return wrong(
      "its value is not finite", "a finite number", fmt::format("{}", number),
      "Lower the learning rate or the term's weight, or mend the plugin: look for a division, a logarithm or "
      "a root at zero");
}

Problem check_cost(const at::Tensor& cost, const Dictionary& dictionary, bool check_values) {
  Problem problem = check_tensor(cost, {dictionary.features()}, dictionary.weight(), true);
  if (!problem.what.empty()) return problem;
  if (cost.requires_grad()) {
    return wrong("its costs carry gradient", "costs without gradient", "a tensor that requires grad",
                 "Compute them from dictionary.detach(), or detach() the result");
  }
  if (!check_values) return {};
  const at::Tensor bad = at::isfinite(cost).logical_and(cost.ge(0)).logical_not();
  if (!bad.any().item<bool>()) return {};
  const std::int64_t feature = bad.nonzero()[0][0].item<std::int64_t>();
  return wrong("its costs cannot be used", "finite costs of at least 0",
               fmt::format("{} for feature {}", cost[feature].item<double>(), feature),
               "Mend the plugin's cost(): look for a logarithm or a division at frequency zero or one");
}

/// The writable tensors of an update, as they were handed over.
struct Writable {
  std::string name;
  at::Tensor tensor;
  std::vector<std::int64_t> sizes;
};

std::vector<Writable> writable_of(const UpdateView& update) {
  std::vector<Writable> all;
  const auto add = [&all](std::string name, const at::Tensor& tensor) {
    all.push_back(
        {std::move(name), tensor, tensor.defined() ? tensor.sizes().vec() : std::vector<std::int64_t>()});
  };
  add("dictionary_weight", update.dictionary_weight);
  add("dictionary_bias", update.dictionary_bias);
  for (const auto& [name, tensor] : update.encoder_parameters) add("encoder_parameters." + name, tensor);
  return all;
}

/// Whether the update still holds the tensors it held before, in their shapes.
Problem check_writable(const std::vector<Writable>& before, const UpdateView& update) {
  const std::vector<Writable> now = writable_of(update);
  const char* hint = "Write to the tensor in place, for example with copy_(): what replaces it is never seen";
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (i >= now.size() || !now[i].tensor.is_same(before[i].tensor)) {
      return wrong(before[i].name + " was replaced", "the same tensor, written in place", "another one",
                   hint);
    }
    if (now[i].sizes != before[i].sizes) {
      return wrong(before[i].name + " was resized", fmt::format("[{}]", fmt::join(before[i].sizes, ", ")),
                   shape_text(now[i].tensor), hint);
    }
  }
  return {};
}

}  // namespace

GuardedPlugin::GuardedPlugin(std::unique_ptr<Plugin> plugin, std::string name, std::string origin)
    : plugin_(std::move(plugin)), who_{std::move(name), std::move(origin)} {}

template <class Base>
Base& GuardedPlugin::as(const std::string& call) const {
  auto* object = dynamic_cast<Base*>(plugin_.get());
  if (object == nullptr) {
    refuse(call, wrong("it has no such call", "an object of the interface that this call belongs to",
                       "another", "Name it under the config's section for its kind"));
  }
  return *object;
}

void GuardedPlugin::refuse(const std::string& call, Problem problem) const {
  if (problem.what.empty()) return;
  problem.where = place(who_, call);
  throw RunError(std::move(problem));
}

bool GuardedPlugin::first_time(const std::string& call) {
  if (std::find(first_calls_done_.begin(), first_calls_done_.end(), call) != first_calls_done_.end())
    return false;
  first_calls_done_.push_back(call);
  return true;
}

void GuardedPlugin::check_kept(const std::string& call, const InputWatch& watch, bool wait_for_device) const {
  for (const auto* list : {&preparation_.states(), &preparation_.parameters()}) {
    for (const Preparation::Registered& registered : *list) {
      const bool elsewhere = registered.fence.defined() && !registered.fence.is_cpu();
      if (elsewhere && !wait_for_device) continue;
      const std::string violation = fence_violation(registered);
      if (violation.empty()) continue;
      refuse(call, wrong("it did not keep to what it registered",
                         "its tensors written in place, within their bounds", violation,
                         "Declare the shape it needs in prepare(), and write only there"));
    }
  }
  const std::string change = watch.change();
  if (!change.empty())
    refuse(call, wrong("it wrote to its input", "inputs that are only read", change, kReadOnly));
}

void GuardedPlugin::check_registered(const std::string& call) const {
  const at::Tensor& like = preparation_.dictionary_weight;
  for (const Preparation::Registered& parameter : preparation_.parameters()) {
    const std::string what = "its parameter '" + parameter.name + "' cannot be learnt";
    const char* hint = "Mend its initial value in prepare()";
    const at::Device device = parameter.tensor.device();
    const at::Device expected = like.defined() ? like.device() : device;
    if (device != expected)
      refuse(call, wrong(what, "device " + expected.str(), "device " + device.str(), hint));
    if (like.defined() && parameter.tensor.scalar_type() != like.scalar_type()) {
      refuse(call,
             wrong(what, fmt::format("dtype {}, as the dictionary's", c10::toString(like.scalar_type())),
                   fmt::format("dtype {}", c10::toString(parameter.tensor.scalar_type())),
                   "Make it with the options() of dictionary_weight"));
    }
    if (!at::isfinite(parameter.tensor.detach()).all().item<bool>()) {
      refuse(call, wrong(what, "finite initial values", "NaN or infinity", hint));
    }
  }
}

std::vector<std::string> GuardedPlugin::needs() const {
  return call_plugin(who_, "needs", [&] { return plugin_->needs(); });
}

std::vector<std::string> GuardedPlugin::provides() const {
  return call_plugin(who_, "provides", [&] { return plugin_->provides(); });
}

void GuardedPlugin::prepare(const Preparation& outline) {
  const std::string call = "prepare";
  preparation_ = outline;
  InputWatch watch(first_time(call));
  watch.add("dictionary_weight", outline.dictionary_weight);
  watch.add("dictionary_bias", outline.dictionary_bias);
  watch.add("sample", outline.sample);
  std::optional<InputError> refused;
  call_plugin(who_, call, [&] {
    try {
      plugin_->prepare(preparation_);
    } catch (const InputError& error) {
      refused = error;
    }
  });
  if (refused) throw InputError(placed(refused->problems(), place(who_, call)));
  check_kept(call, watch, true);
  check_registered(call);
  preparation_.dictionary_weight.reset();
  preparation_.dictionary_bias.reset();
  preparation_.sample.reset();
}

std::map<std::string, double> GuardedPlugin::report() {
  const std::string call = "report";
  auto figures = call_plugin(who_, call, [&] { return plugin_->report(); });
  check_kept(call, InputWatch(false), true);
  for (const auto& [name, figure] : figures) {
    if (std::isfinite(figure)) continue;
    refuse(call, wrong("its figure '" + name + "' is not finite", "a finite number",
                       fmt::format("{}", figure), "Leave a figure out while there is nothing to report"));
  }
  return figures;
}

at::Tensor GuardedPlugin::value(const StepView& step, bool check_values) {
  const std::string call = "value";
  LossTerm& term = as<LossTerm>(call);
  const bool thorough = first_time(call);
  InputWatch watch(thorough);
  watch.add("batch()", step.batch());
  watch.add(step.codes());
  watch.add(step.dictionary());
  watch.add("costs()", step.costs());
  watch.add(step.stats());
  watch.add("encoder_parameters()/", step.encoder_parameters());
  watch.add("its own parameter ", preparation_.parameters());
  at::Tensor result = call_plugin(who_, call, [&] { return term.value(step); });
  check_kept(call, watch, thorough || check_values);
  if (result.defined()) refuse(call, check_value(result, step, thorough || check_values));
  return result;
}

bool GuardedPlugin::acts_after_step() const {
  const std::string call = "acts_after_step";
  const LossTerm& term = as<LossTerm>(call);
  return call_plugin(who_, call, [&] { return term.acts_after_step(); });
}

void GuardedPlugin::after_step(UpdateView& update) {
  const std::string call = "after_step";
  LossTerm& term = as<LossTerm>(call);
  const at::NoGradGuard without_gradient;
  const bool thorough = first_time(call);
  InputWatch watch(thorough);
  watch.add("batch", update.batch);
  watch.add("row_errors", update.row_errors);
  watch.add(update.stats);
  const std::vector<Writable> writable = writable_of(update);
  at::Tensor frozen;
  if (thorough) frozen = update.dictionary_weight.narrow(0, 0, update.frozen_rows).clone();
  call_plugin(who_, call, [&] { term.after_step(update); });
  check_kept(call, watch, thorough);
  refuse(call, check_writable(writable, update));
  if (thorough && !at::equal(frozen, update.dictionary_weight.narrow(0, 0, update.frozen_rows))) {
    refuse(call,
           wrong("it wrote to frozen features", fmt::format("rows below {} untouched", update.frozen_rows),
                 "changed rows of dictionary_weight", "Leave rows below frozen_rows alone"));
  }
}

Codes GuardedPlugin::encode(const EncodeView& view, bool check_values) {
  const std::string call = "encode";
  Encoder& encoder = as<Encoder>(call);
  const bool thorough = first_time(call);
  InputWatch watch(thorough);
  watch.add("batch", view.batch);
  watch.add(view.dictionary);
  watch.add(view.selection);
  watch.add("costs", view.costs);
  watch.add("its own parameter ", preparation_.parameters());
  Codes codes = call_plugin(who_, call, [&] { return encoder.encode(view); });
  check_kept(call, watch, thorough || check_values);
  const CodesExpected expected{view.batch.size(0), view.dictionary.features(), view.batch.scalar_type(),
                               view.batch.device()};
  refuse(call, check_codes(codes, expected, thorough || check_values));
  return codes;
}

at::Tensor GuardedPlugin::directions(const Dictionary& dictionary) {
  const std::string call = "directions";
  const Encoder& encoder = as<Encoder>(call);
  InputWatch watch(first_time(call));
  watch.add(dictionary);
  watch.add("its own parameter ", preparation_.parameters());
  at::Tensor result = call_plugin(who_, call, [&] { return encoder.directions(dictionary); });
  check_kept(call, watch, false);
  if (result.defined())
    refuse(call, check_tensor(result, dictionary.weight().sizes(), dictionary.weight(), true));
  return result;
}

at::Tensor GuardedPlugin::cost(const FeatureStats& stats, const Dictionary& dictionary, bool check_values) {
  const std::string call = "cost";
  FeatureCost& plugin = as<FeatureCost>(call);
  const bool thorough = first_time(call);
  InputWatch watch(thorough);
  watch.add(stats);
  watch.add(dictionary);
  watch.add("its own parameter ", preparation_.parameters());
  at::Tensor result = call_plugin(who_, call, [&] { return plugin.cost(stats, dictionary); });
  check_kept(call, watch, thorough || check_values);
  refuse(call, check_cost(result, dictionary, thorough || check_values));
  return result;
}

}  // namespace regulon::core
