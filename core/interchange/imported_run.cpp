#include "core/interchange/imported_run.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/ones.h>
#include <fmt/format.h>
#include <regulon/error.h>

#include <cmath>
#include <utility>

#include "core/io/atomic_file.h"
#include "core/io/hash.h"
#include "core/io/safetensors.h"
#include "core/model/encoder_form.h"
#include "core/train/run.h"

namespace regulon::core {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// Rows of that norm are taken to be kept there.
constexpr double kKeptAtOne = 1e-5;

/// The first encoder that provides `word`, with its defaults.
Choice encoder_that_provides(const std::string& word, PluginHost& host) {
  for (const std::string& name : host.names("encoder/1")) {
    const PluginDescriptor* descriptor = nullptr;
    try {
      descriptor = host.find("encoder/1", name);
    } catch (const InputError&) {
      continue;  // a plugin that cannot be used holds nothing
    }
    Choice choice;
    choice.plugin = choice.name = name;
    choice.descriptor = descriptor;
    for (const ParamSpec& param : descriptor->params) choice.values.push_back(param.default_value);
    if (offers(choice, word)) return choice;
  }
  throw InputError({"the plugin path", "has no encoder for such a dictionary",
                    fmt::format("an encoder that provides '{}'", word), "none",
                    "build the plugins of the repository, or name their folder with --plugin-path"});
}

/// Takes a factor that all dictionary rows share into the normalisation of the data, as a run that scaled its
/// data has it: codes stay the same to rounding, and the rows have norm one again, as training keeps them.
/// 1 where rows differ in norm.
double fold_shared_norm(PlainSae& sae) {
  const at::Tensor norms = at::linalg_vector_norm(sae.decoder_weight.to(at::kDouble), 2, {1});
  const double shared = norms.mean().item<double>();
  const double furthest = (norms - shared).abs().max().item<double>();
  if (shared == 0 || furthest > kKeptAtOne * shared || std::abs(shared - 1) <= kKeptAtOne) return 1;
  const auto times = [](const at::Tensor& tensor, double factor) {
    return (tensor.to(at::kDouble) * factor).to(at::kFloat);
  };
  sae.decoder_weight = times(sae.decoder_weight, 1 / shared);
  sae.decoder_bias = times(sae.decoder_bias, 1 / shared);
  sae.encoder_weight = times(sae.encoder_weight, shared);
  sae.notes.push_back(
      fmt::format("the norm {:.6g} of all dictionary rows, into the scale of the data", shared));
  return shared;
}

/// What keys of [encoder] choose codes as `sae` does, and the tensors of that activation.
json activation_of(const PlainSae& sae, NamedTensors& weights) {
  if (sae.ranks) return {{"activation", "topk"}, {"k", sae.k}};
  if (!sae.thresholds.defined()) return {{"activation", "relu"}};
  // Codes are above zero in any case: a threshold below is none.
  weights.emplace_back("activation.threshold", sae.thresholds.clamp_min(0));
  if (!sae.batch_threshold()) return {{"activation", "jumprelu"}, {"learn", "linear"}};
  const bool learnt = sae.thresholds.item<float>() >= 0;
  weights.emplace_back("activation.seen", at::ones({1}, at::kFloat) * (learnt ? 1 : 0));
  return {{"activation", "batch_topk"}, {"k", sae.k}};
}

NamedTensors weights_as_run(const PlainSae& sae, const Normalisation& normalisation) {
  NamedTensors weights = {{"decoder.weight", sae.decoder_weight},
                          {"decoder.bias", sae.decoder_bias},
                          {"encoder.weight", sae.encoder_weight},
                          {"feature_costs", at::ones({sae.features()}, at::kFloat)}};
  for (auto& entry : normalisation.tensors()) weights.push_back(std::move(entry));
  if (!sae.gated()) {
    weights.emplace_back("encoder.bias", sae.encoder_bias);
    return weights;
  }
  weights.emplace_back("encoder.gate_bias", sae.encoder_bias);
  weights.emplace_back("encoder.magnitude_bias", sae.magnitude_bias);
  weights.emplace_back("encoder.log_scale", sae.log_scale);
  return weights;
}

json imported_config(const PlainSae& sae, const Choice& encoder, json encoder_keys, const fs::path& out) {
  encoder_keys["plugin"] = encoder.plugin;
  if (value_of<bool>(encoder, kCentered) != nullptr) encoder_keys[kCentered] = sae.centered;
  const fs::path file = (fs::current_path() / out / "manifest.json").lexically_normal();
  return {
      {"run", {{"name", "imported"}, {"steps", 1}}},
      {"data", {{"source", "files"}, {"files", json::array()}}},
      {"model", {{"features", sae.features()}, {"unit_norm", has_unit_rows(sae.decoder_weight, kKeptAtOne)}}},
      {"encoder", std::move(encoder_keys)},
      {"loss", json::array()},
      {"file", file.string()}};
}

json origin_of(const Imported& imported) {
  json files = json::object();
  for (const fs::path& file : imported.files) files[fs::absolute(file).string()] = hash_file(file);
  json origin = {{"kind", imported.kind}, {"files", files}};
  if (!imported.sae.prefixes.empty()) origin["prefixes"] = imported.sae.prefixes;
  return origin;
}

}  // namespace

Imported write_imported_run(Imported imported, const fs::path& out, PluginHost& host) {
  PlainSae& sae = imported.sae;
  const Choice encoder = encoder_that_provides(sae.gated() ? kGatedEncoder : kProductEncoder, host);
  if (value_of<bool>(encoder, kCentered) == nullptr) sae = centered_as(std::move(sae), true);
  Normalisation normalisation;
  normalisation.scale = 1 / fold_shared_norm(sae);
  NamedTensors weights = weights_as_run(sae, normalisation);
  const json keys = activation_of(sae, weights);
  const Config config = config_from_json(imported_config(sae, encoder, keys, out), imported.kind, host);
  const json origin = origin_of(imported);
  json manifest = run_manifest(config, host, hash_text(origin.dump()));
  manifest["imported"] = origin;
  AtomicFolder folder(out);
  write_safetensors(folder.path() / "weights.safetensors", weights, {{"format", "regulon/1"}});
  write_atomically(folder.path() / "manifest.json", manifest.dump(2) + "\n");
  write_atomically(folder.path() / "summary.json", json{{"imported", origin}}.dump(2) + "\n");
  static_cast<void>(Run(folder.path(), host));  // opens as any other
  folder.commit();
  return imported;
}

}  // namespace regulon::core
