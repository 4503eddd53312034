/// dictionary_learning: https://github.com/saprmarks/dictionary_learning (dictionary.py, trainers/,
/// utils.py).

#include <ATen/ops/full.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>
#include <regulon/error.h>

#include <numeric>
#include <utility>

#include "core/interchange/peer_files.h"
#include "core/interchange/peer_formats.h"
#include "core/interchange/torch_archive.h"
#include "core/io/atomic_file.h"

namespace regulon::core {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr char kAeName[] = "ae.pt";
constexpr char kAeConfig[] = "config.json";
/// Its AutoEncoder rescales rows on loading unless their norms are one to 1e-5.
constexpr double kAeUnitTolerance = 5e-6;

/// How a class of that library lays its weights out.
struct AeClass {
  std::string name;
  bool by_linear = true;     ///< encoder.weight [n, d] and decoder.weight [d, n]; else W_enc [d, n], W_dec
  bool centered = true;      ///< the decoder's bias is taken off the input
  std::string decoder_bias;  ///< its name
  bool gated = false;
  bool has_k = false;           ///< k [] and threshold [] are there
  bool has_thresholds = false;  ///< threshold [n]
  bool has_groups = false;      ///< group_sizes
};

const std::vector<AeClass>& ae_classes() {
  static const std::vector<AeClass> kClasses = {
      {"AutoEncoder", true, true, "bias"},
      {"AutoEncoderNew", true, false, "decoder.bias"},
      {"AutoEncoderTopK", true, true, "b_dec", false, true},
      {"BatchTopKSAE", true, true, "b_dec", false, true},
      {"MatryoshkaBatchTopKSAE", false, true, "b_dec", false, true, false, true},
      {"JumpReluAutoEncoder", false, false, "b_dec", false, false, true},
      {"GatedAutoEncoder", true, true, "decoder_bias", true},
  };
  return kClasses;
}

const AeClass* find_ae_class(const std::string& name) {
  for (const AeClass& known : ae_classes()) {
    if (known.name == name) return &known;
  }
  return nullptr;
}

/// The class that computes as `sae` does.
std::string class_for(const PlainSae& sae) {
  if (sae.gated()) return "GatedAutoEncoder";
  if (sae.ranks) return "AutoEncoderTopK";
  if (sae.batch_threshold()) return sae.prefixes.empty() ? "BatchTopKSAE" : "MatryoshkaBatchTopKSAE";
  if (sae.thresholds.defined()) return "JumpReluAutoEncoder";
  return has_unit_rows(sae.decoder_weight, kAeUnitTolerance) ? "AutoEncoder" : "AutoEncoderNew";
}

std::vector<std::int64_t> group_sizes(const std::vector<std::int64_t>& prefixes) {
  std::vector<std::int64_t> sizes(prefixes.size());
  std::adjacent_difference(prefixes.begin(), prefixes.end(), sizes.begin());
  return sizes;
}

NamedTensors ae_tensors(const PlainSae& sae, const AeClass& as) {
  NamedTensors tensors;
  tensors.emplace_back(as.by_linear ? "encoder.weight" : "W_enc",
                       as.by_linear ? sae.encoder_weight : sae.encoder_weight.t());
  tensors.emplace_back(as.by_linear ? "decoder.weight" : "W_dec",
                       as.by_linear ? sae.decoder_weight.t() : sae.decoder_weight);
  tensors.emplace_back(as.decoder_bias, sae.decoder_bias);
  if (as.gated) {
    tensors.emplace_back("gate_bias", sae.encoder_bias);
    tensors.emplace_back("mag_bias", sae.magnitude_bias);
    tensors.emplace_back("r_mag", sae.log_scale);
  } else {
    tensors.emplace_back(as.by_linear ? "encoder.bias" : "b_enc", sae.encoder_bias);
  }
  if (as.has_thresholds) tensors.emplace_back("threshold", thresholds_of(sae));
  if (as.has_k) {
    tensors.emplace_back("k", at::scalar_tensor(sae.k, at::kInt));
    // Below zero says that there is none.
    tensors.emplace_back("threshold", sae.thresholds.defined() ? sae.thresholds.reshape({})
                                                               : at::scalar_tensor(-1.0, at::kFloat));
  }
  if (as.has_groups) tensors.emplace_back("group_sizes", at::tensor(group_sizes(sae.prefixes), at::kLong));
  return tensors;
}

json ae_config(const PlainSae& sae, const AeClass& as, const HookNames& names) {
  json trainer = {{"dict_class", as.name},         {"trainer_class", "regulon " REGULON_VERSION},
                  {"activation_dim", sae.width()}, {"dict_size", sae.features()},
                  {"lm_name", names.model},        {"submodule_name", names.hook}};
  if (as.has_k) trainer["k"] = sae.k;
  if (as.has_groups) trainer["group_sizes"] = group_sizes(sae.prefixes);
  return {{"trainer", trainer}};
}

fs::path ae_config_of(const fs::path& weights) {
  const fs::path folder = fs::absolute(weights).parent_path();
  for (const fs::path& candidate : {folder / kAeConfig, folder.parent_path() / kAeConfig}) {
    if (fs::exists(candidate)) return candidate;
  }
  throw InputError({weights.string(), "comes without its settings",
                    "config.json beside it, or one folder up for a checkpoint", "none",
                    "copy config.json, which names the class (dict_class), from where it was saved"});
}

void read_ae_selection(const AeClass& as, const PeerConfig& trainer, PeerTensors& tensors, PlainSae& sae) {
  const std::int64_t n = sae.features();
  if (as.has_thresholds) sae.thresholds = tensors.take("threshold", {n});
  if (!as.has_k) return;
  sae.k = tensors.take_integer("k");
  if (sae.k < 1 || sae.k > n || (trainer.has("k") && trainer.integer("k", 1) != sae.k)) {
    trainer.refuse("k", fmt::format("{}, as the weights say, and at most {}", sae.k, n),
                   "the two files belong to different dictionaries");
  }
  const at::Tensor threshold = tensors.take("threshold", {}).reshape({1});
  sae.ranks = as.name == "AutoEncoderTopK";
  if (!sae.ranks) sae.thresholds = threshold;
  if (!as.has_groups) return;
  sae.prefixes = tensors.take_integers("group_sizes");
  std::partial_sum(sae.prefixes.begin(), sae.prefixes.end(), sae.prefixes.begin());
  if (sae.prefixes.empty() || sae.prefixes.back() != n) {
    trainer.refuse("group_sizes", fmt::format("sizes that add up to {}", n), "the file is damaged");
  }
}

PlainSae read_ae(const AeClass& as, const PeerConfig& trainer, PeerTensors& tensors) {
  const std::string encoder = as.by_linear ? "encoder.weight" : "W_enc";
  std::vector<std::int64_t> sizes = tensors.sizes_of(encoder, 2);
  if (!as.by_linear) std::swap(sizes[0], sizes[1]);
  const std::int64_t n = sizes[0];
  const std::int64_t d = sizes[1];
  for (const auto& [key, size] : {std::pair{"dict_size", n}, std::pair{"activation_dim", d}}) {
    if (trainer.has(key) && trainer.integer(key, 1) != size) {
      trainer.refuse(key, fmt::format("{}, as '{}' has", size, encoder),
                     "the two files belong to different dictionaries");
    }
  }
  PlainSae sae;
  sae.centered = as.centered;
  sae.encoder_weight =
      as.by_linear ? tensors.take(encoder, {n, d}) : tensors.take(encoder, {d, n}).t().contiguous();
  sae.decoder_weight =
      as.by_linear ? tensors.take("decoder.weight", {d, n}).t().contiguous() : tensors.take("W_dec", {n, d});
  sae.decoder_bias = tensors.take(as.decoder_bias, {d});
  if (as.gated) {
    sae.encoder_bias = tensors.take("gate_bias", {n});
    sae.magnitude_bias = tensors.take("mag_bias", {n});
    sae.log_scale = tensors.take("r_mag", {n});
  } else {
    sae.encoder_bias = tensors.take(as.by_linear ? "encoder.bias" : "b_enc", {n});
  }
  read_ae_selection(as, trainer, tensors, sae);
  return sae;
}

}  // namespace

Exported write_dictionary_learning(PlainSae sae, const fs::path& folder, const HookNames& names) {
  if (sae.gated()) sae = with_plain_gate(std::move(sae));
  const AeClass& as = *find_ae_class(class_for(sae));
  sae = centered_as(std::move(sae), as.centered);
  write_torch_archive(folder / kAeName, ae_tensors(sae, as));
  write_atomically(folder / kAeConfig, ae_config(sae, as, names).dump(4) + "\n");
  return {"dictionary_learning " + as.name, sae.notes};
}

Imported read_dictionary_learning(const fs::path& weights) {
  const PeerConfig config(ae_config_of(weights));
  const PeerConfig trainer(config, "trainer");
  const std::string name = trainer.text("dict_class");
  const AeClass* as = find_ae_class(name);
  if (as == nullptr) {
    std::vector<std::string> known;
    for (const AeClass& one : ae_classes()) known.push_back(one.name);
    trainer.refuse("dict_class", "a class that is known here", did_you_mean(name, known));
  }
  PeerTensors tensors(read_torch_archive(weights), weights, "");
  Imported imported{
      read_ae(*as, trainer, tensors), "dictionary_learning " + name, {config.path(), weights}, {}};
  tensors.expect_nothing_else("a " + name);
  return imported;
}

}  // namespace regulon::core
