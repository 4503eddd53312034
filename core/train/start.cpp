#include "core/train/start.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <regulon/error.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/io/hash.h"
#include "core/io/json_file.h"
#include "core/io/run_folder.h"
#include "core/io/safetensors.h"
#include "core/model/encoder_form.h"

namespace regulon::core {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// Norms further than this from one are no rounding.
constexpr double kUnitRowTolerance = 1e-3;

at::Tensor doubled(const at::Tensor& tensor) { return tensor.to(at::kDouble); }

/// What a threshold of zero becomes where its logarithm is learnt.
constexpr double kLeastThreshold = 1e-8;

/// The run that a config starts from.
struct Origin {
  fs::path weights_path;
  json encoder;  ///< [encoder] of its config
  NamedTensors weights;
  Normalisation normalisation;
};

fs::path start_folder(const Config& config) {
  return (config.folder() / config.model.init).lexically_normal();
}

fs::path weights_of(const Config& config) {
  const fs::path folder = start_folder(config);
  if (!RunFolder::is_whole(folder)) {
    throw InputError({folder.string(), "[model] init names no finished run",
                      "a folder that `regulon train` finished or `regulon import` wrote",
                      fs::exists(folder) ? "a folder without weights.safetensors or summary.json" : "nothing",
                      "init is relative to the config's folder"});
  }
  return folder / "weights.safetensors";
}

Origin open_origin(const Config& config) {
  Origin origin;
  origin.weights_path = weights_of(config);
  const fs::path manifest_path = start_folder(config) / "manifest.json";
  const json manifest = read_json_object(manifest_path);
  const auto pointer = json::json_pointer("/config/encoder");
  if (!manifest.is_object() || !manifest.contains(pointer) || !manifest.at(pointer).is_object()) {
    throw InputError({manifest_path.string(), "does not say what encoder the run has", "a run's manifest",
                      "no config.encoder in it",
                      "name a run that `regulon train` or `regulon import` wrote"});
  }
  origin.encoder = manifest.at(pointer);
  for (const auto& [name, tensor] : SafetensorsFile(origin.weights_path).tensors()) {
    origin.weights.emplace_back(name, tensor.clone());  // not tied to the file
  }
  origin.normalisation = Normalisation::from_tensors(origin.weights, origin.weights_path.string());
  return origin;
}

bool is_stage(const Config& config) { return config.model.freeze == "init"; }

/// Whether the run's encoder took the decoder's bias off its input.
bool was_centered(const Config& config, const Origin& origin) {
  return origin.encoder.value(kCentered, is_centered(config.encoder));
}

/// Refuses an encoder that would read the weights otherwise than the run that learnt them.
void check_encoder(const Config& config, const Origin& origin) {
  const auto refuse = [&](const std::string& key, const json& there, const json& here) {
    throw InputError({origin.weights_path.string(), "holds the weights of another encoder",
                      fmt::format("{} = {} in [encoder], as there", key, there.dump()), here.dump(),
                      "set it so, or take the decoder alone: [model] init_part = \"decoder\""});
  };
  const json plugin = origin.encoder.value("plugin", json());
  if (plugin != json(config.encoder.plugin)) refuse("plugin", plugin, config.encoder.plugin);
  const bool* here = value_of<bool>(config.encoder, kCentered);
  const json there = origin.encoder.value(kCentered, json());
  const bool folds = is_stage(config) && there == json(true);
  if (here != nullptr && there != json(*here) && !folds) refuse(kCentered, there, *here);
}

/// Refuses what would not leave frozen features as they are.
void check_stage(const Config& config, const Origin& origin) {
  const std::int64_t there = find_tensor(origin.weights, "decoder.weight").size(0);
  if (config.model.features <= there) {
    throw InputError({origin.weights_path.string(), "leaves no features to learn",
                      fmt::format("[model] features above {}: frozen ones count, and come first", there),
                      fmt::format("{}", config.model.features),
                      "set it to those that are there and new ones"});
  }
  if (!offers(config.encoder, kProductEncoder) && !offers(config.encoder, kGatedEncoder)) {
    throw InputError({origin.weights_path.string(), "cannot be frozen",
                      "an encoder with a direction and biases for each feature alone, such as 'linear'",
                      fmt::format("'{}', of which features share parts", config.encoder.plugin),
                      "train all stages with such an encoder"});
  }
  if (config.model.learn_bias && is_centered(config.encoder)) {
    throw InputError(
        {origin.weights_path.string(), "would not stay frozen",
         fmt::format("{} = false in [encoder]", kCentered),
         "an encoder that takes the decoder's bias off its input, and a bias that learns",
         "set it so (frozen features' own biases are converted), or [model] learn_bias = false"});
  }
}

/// [n, d]: the encoder's; the decoder's rows where it is tied.
at::Tensor directions_of(const Origin& origin) {
  const at::Tensor own = find_tensor(origin.weights, "encoder.weight");
  return own.defined() ? own : find_tensor(origin.weights, "decoder.weight");
}

bool same_units(const Normalisation& a, const Normalisation& b) {
  if (a.scale != b.scale || a.mean.defined() != b.mean.defined()) return false;
  return !a.mean.defined() || a.mean.equal(b.mean);
}

at::Tensor mean_of(const Normalisation& normalisation, const at::Tensor& like) {
  return normalisation.mean.defined() ? doubled(normalisation.mean) : at::zeros_like(like, at::kDouble);
}

/// Brings tensors from the units of `from` to those of `to`. Rows y = (x - m) s become r y' with r = s'/s:
/// all that adds to a pre-activation or bounds it is multiplied by r, directions stay.
class UnitChange {
 public:
  UnitChange(const Normalisation& from, const Normalisation& to, const at::Tensor& bias)
      : from_(from),
        to_(to),
        ratio_(to.scale / from.scale),
        old_mean_(mean_of(from, bias)),
        new_mean_(mean_of(to, bias)) {}

  at::Tensor decoder_bias(const at::Tensor& bias) const {
    const at::Tensor raw = doubled(bias) / from_.scale + old_mean_;
    return ((raw - new_mean_) * to_.scale).to(at::kFloat);
  }

  /// `weight`: directions [n, d] of an encoder that does not take the decoder's bias off; undefined if it
  /// does.
  at::Tensor encoder_bias(const at::Tensor& bias, const at::Tensor& weight) const {
    at::Tensor changed = doubled(bias) * ratio_;
    if (weight.defined()) changed = changed + at::mv(doubled(weight), (new_mean_ - old_mean_) * to_.scale);
    return changed.to(at::kFloat);
  }

  at::Tensor threshold(const at::Tensor& theta) const { return (doubled(theta) * ratio_).to(at::kFloat); }
  at::Tensor log_threshold(const at::Tensor& log_theta) const {
    return (doubled(log_theta) + std::log(ratio_)).to(at::kFloat);
  }

 private:
  const Normalisation& from_;
  const Normalisation& to_;
  double ratio_;
  at::Tensor old_mean_;
  at::Tensor new_mean_;
};

/// Takes the decoder's bias out of the encoder's input, and into its own biases.
void uncenter(Origin& origin) {
  const at::Tensor decoder_bias = doubled(find_tensor(origin.weights, "decoder.bias"));
  const at::Tensor directions = doubled(directions_of(origin));
  for (auto& [name, tensor] : origin.weights) {
    const bool magnitude = name == "encoder.magnitude_bias";
    if (!magnitude && name != "encoder.bias" && name != "encoder.gate_bias") continue;
    at::Tensor share = at::mv(directions, decoder_bias);
    if (magnitude) share = share * doubled(find_tensor(origin.weights, "encoder.log_scale")).exp();
    tensor = (doubled(tensor) - share).to(at::kFloat);
  }
}

void change_units(const Config& config, const Normalisation& to, bool with_encoder, Origin& origin) {
  if (same_units(origin.normalisation, to)) return;
  const bool gated = offers(config.encoder, kGatedEncoder);
  if (with_encoder && !gated && !offers(config.encoder, kProductEncoder)) {
    throw InputError(
        {origin.weights_path.string(), "learnt on rows that are normalised otherwise",
         fmt::format("scale {} and the same mean", to.scale),
         fmt::format("scale {}", origin.normalisation.scale),
         fmt::format("encoder '{}' does not say how to convert its weights: normalise as there, or "
                     "take init_part = \"decoder\"",
                     config.encoder.plugin)});
  }
  const UnitChange change(origin.normalisation, to, find_tensor(origin.weights, "decoder.bias"));
  const bool centered = is_centered(config.encoder);
  const at::Tensor directions = directions_of(origin);
  const at::Tensor uncentred = centered ? at::Tensor() : directions;
  for (auto& [name, tensor] : origin.weights) {
    if (name == "decoder.bias") tensor = change.decoder_bias(tensor);
    if (name == "encoder.bias" || name == "encoder.gate_bias")
      tensor = change.encoder_bias(tensor, uncentred);
    if (name == "activation.threshold") tensor = change.threshold(tensor);
    if (name == "activation.log_threshold") tensor = change.log_threshold(tensor);
    if (name != "encoder.magnitude_bias") continue;
    // The magnitude's product has directions of its own length, exp(r) W.
    const at::Tensor scales = doubled(find_tensor(origin.weights, "encoder.log_scale")).exp();
    tensor = change.encoder_bias(tensor, centered ? at::Tensor() : doubled(directions) * scales.unsqueeze(1));
  }
}

/// Rows of norm one, as [model] unit_norm keeps them from the first step on.
void check_norms(const Config& config, bool with_encoder, Origin& origin) {
  if (!config.model.unit_norm) return;
  for (auto& [name, tensor] : origin.weights) {
    if (name != "decoder.weight") continue;
    const at::Tensor norms = at::linalg_vector_norm(doubled(tensor), 2, at::IntArrayRef({1}), true);
    const double off = (norms - 1).abs().max().item<double>();
    if (off <= kUnitRowTolerance) return;
    if (with_encoder || !(norms.min().item<double>() > 0)) {
      throw InputError(
          {origin.weights_path.string(), "holds dictionary rows that are not of norm one",
           "norm one, as [model] unit_norm = true keeps them",
           fmt::format("norms from {:.4g} to {:.4g}", norms.min().item<double>(), norms.max().item<double>()),
           "set unit_norm = false, or take init_part = \"decoder\", which scales the rows"});
    }
    tensor = (doubled(tensor) / norms).to(at::kFloat);
  }
}

bool same_activation(const Config& config, const Origin& origin) {
  return origin.encoder.value("activation", json()) == json(config.activation.plugin);
}

/// Refuses to drop what another activation learnt: codes would not be what they were.
void check_activation(const Config& config, const Origin& origin) {
  if (same_activation(config, origin)) return;
  for (const auto& [name, tensor] : origin.weights) {
    if (name.rfind("activation.", 0) != 0) continue;
    throw InputError({origin.weights_path.string(), fmt::format("holds '{}' of another activation", name),
                      fmt::format("activation = {} in [encoder], as there",
                                  origin.encoder.value("activation", json()).dump()),
                      config.activation.plugin,
                      "set it so, or take the decoder alone: [model] init_part = \"decoder\""});
  }
}

/// A threshold in both forms in which an activation may keep it.
void add_other_threshold_form(const Config& config, NamedTensors& taken) {
  const auto* learns = value_of<std::string>(config.activation, "learn");
  const at::Tensor plain = find_tensor(taken, "activation.threshold");
  const at::Tensor logarithm = find_tensor(taken, "activation.log_threshold");
  if (learns == nullptr || (*learns == "log" ? logarithm : plain).defined()) return;
  for (auto& [name, tensor] : taken) {
    if (name == "activation.threshold") {
      name = "activation.log_threshold";
      tensor = tensor.clamp_min(kLeastThreshold).log();
    } else if (name == "activation.log_threshold") {
      name = "activation.threshold";
      tensor = tensor.exp();
    }
  }
}

}  // namespace

ModelStart load_start(const Config& config, const Normalisation& normalisation) {
  if (config.model.init.empty()) return {};
  const at::NoGradGuard no_grad;
  Origin origin = open_origin(config);
  const bool with_decoder = config.model.init_part != "encoder";
  const bool with_encoder = config.model.init_part != "decoder";
  if (with_encoder) {
    check_encoder(config, origin);
    check_activation(config, origin);
  }
  if (is_stage(config)) {
    check_stage(config, origin);
    if (was_centered(config, origin) && !is_centered(config.encoder)) uncenter(origin);
  }
  change_units(config, normalisation, with_encoder, origin);
  if (with_decoder) check_norms(config, with_encoder, origin);
  ModelStart start;
  start.origin = origin.weights_path.string();
  if (is_stage(config)) start.frozen_features = find_tensor(origin.weights, "decoder.weight").size(0);
  const auto begins = [](const std::string& name, const char* prefix) { return name.rfind(prefix, 0) == 0; };
  for (auto& [name, tensor] : origin.weights) {
    const bool activation = begins(name, "activation.") && same_activation(config, origin);
    if ((begins(name, "decoder.") && with_decoder) ||
        ((begins(name, "encoder.") || activation) && with_encoder)) {
      start.weights.emplace_back(name, std::move(tensor));
    }
  }
  add_other_threshold_form(config, start.weights);
  return start;
}

std::string start_fingerprint(const Config& config) { return hash_file(weights_of(config)); }

}  // namespace regulon::core
