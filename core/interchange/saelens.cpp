/// SAELens, version 6: https://github.com/jbloomAus/SAELens (sae_lens/saes/).

#include <ATen/ops/full.h>
#include <fmt/format.h>
#include <regulon/error.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <set>
#include <string_view>
#include <utility>

#include "core/interchange/peer_files.h"
#include "core/interchange/peer_formats.h"
#include "core/io/atomic_file.h"
#include "core/io/safetensors.h"

namespace regulon::core {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr char kSaelensConfig[] = "cfg.json";
constexpr char kSaelensWeights[] = "sae_weights.safetensors";
/// The version whose loader this was written against and is tested with; what is read must be of its series.
constexpr char kSaelensVersion[] = "6.54.12";
constexpr int kSaelensSeries = 6;
/// Norms that its own folding leaves differ from one by rounding only.
constexpr double kFoldedTolerance = 1e-6;

/// Architectures whose codes are a function of one product, by the name in cfg.json.
constexpr std::array<std::string_view, 6> kSaelensKnown = {"standard", "topk",      "jumprelu",
                                                           "gated",    "batchtopk", "matryoshka_batchtopk"};

/// Keys of cfg.json that are read here, or that say how and not what to compute.
const std::set<std::string>& saelens_keys() {
  static const std::set<std::string> kKeys = {"architecture",
                                              "d_in",
                                              "d_sae",
                                              "dtype",
                                              "device",
                                              "apply_b_dec_to_input",
                                              "normalize_activations",
                                              "reshape_activations",
                                              "metadata",
                                              "sae_lens_version",
                                              "k",
                                              "rescale_acts_by_decoder_norm"};
  return kKeys;
}

json saelens_config(const PlainSae& sae, const std::string& architecture, const HookNames& names) {
  json metadata = {{"sae_lens_version", kSaelensVersion},
                   {"sae_lens_training_version", nullptr},
                   {"trained_with", "regulon " REGULON_VERSION}};
  if (!names.model.empty()) metadata["model_name"] = names.model;
  if (!names.hook.empty()) metadata["hook_name"] = names.hook;
  if (sae.batch_threshold()) {
    metadata["training_architecture"] = sae.prefixes.empty() ? "batchtopk" : "matryoshka_batchtopk";
    metadata["training_architecture_details"] = {{"k", sae.k}};
    if (!sae.prefixes.empty()) {
      metadata["training_architecture_details"]["matryoshka_widths"] = sae.prefixes;
    }
  }
  json config = {{"architecture", architecture},
                 {"d_in", sae.width()},
                 {"d_sae", sae.features()},
                 {"dtype", "float32"},
                 {"device", "cpu"},
                 {"apply_b_dec_to_input", sae.centered},
                 {"normalize_activations", "none"},
                 {"reshape_activations", "none"},
                 {"metadata", metadata}};
  if (sae.ranks) {
    config["k"] = sae.k;
    config["rescale_acts_by_decoder_norm"] = false;
  }
  return config;
}

/// The major number of "6.54.12"; -1 if the text begins with no number.
int saelens_series(const std::string& version) {
  const auto digits =
      std::find_if(version.begin(), version.end(), [](unsigned char c) { return std::isdigit(c) == 0; }) -
      version.begin();
  return digits == 0 || digits > 4 ? -1 : std::stoi(version.substr(0, static_cast<std::size_t>(digits)));
}

void check_saelens_version(const PeerConfig& config) {
  std::string version = config.text("sae_lens_version", "");
  if (version.empty() && config.has("metadata")) {
    version = PeerConfig(config, "metadata").text("sae_lens_version", "");
  }
  if (saelens_series(version) == kSaelensSeries) return;
  throw InputError({config.path().string(), "was written by another version of SAELens",
                    fmt::format("metadata.sae_lens_version {}.x", kSaelensSeries),
                    version.empty() ? "none, as versions before 6 left it" : version,
                    "load it in SAELens 6 (SAE.load_from_disk) and save it again (save_model)"});
}

/// What cfg.json may say that changes what the weights mean.
void check_saelens_settings(const PeerConfig& config, const std::string& architecture) {
  if (std::find(kSaelensKnown.begin(), kSaelensKnown.end(), architecture) == kSaelensKnown.end()) {
    config.refuse("architecture", "standard, topk, jumprelu, gated, batchtopk or matryoshka_batchtopk",
                  "there is nothing here that computes likewise");
  }
  const std::string normalised = config.text("normalize_activations", "none");
  if (normalised != "none") {
    config.refuse(
        "normalize_activations", "\"none\"",
        normalised == "expected_average_only_in"
            ? "its factor is not in the file: fold it with fold_activation_norm_scaling_factor and save"
            : "rows that are each normalised on their own have no counterpart here");
  }
}

/// What a peer's autoencoder does to the shape of rows before it encodes them.
void check_saelens_shape(const PeerConfig& config) {
  const std::string reshaped = config.text("reshape_activations", "none");
  if (reshaped == "none" || reshaped == "hook_z") return;
  config.refuse("reshape_activations", "\"none\" or \"hook_z\"", "rows of another shape are not known here");
}

void read_saelens_selection(const PeerConfig& config, const std::string& architecture, PeerTensors& tensors,
                            PlainSae& sae) {
  const std::int64_t n = sae.features();
  const auto read_k = [&](const PeerConfig& part) {
    const std::int64_t k = part.integer("k", 1);
    if (k > n) part.refuse("k", fmt::format("at most d_sae, {}", n), "correct it");
    return k;
  };
  if (architecture == "topk") {
    sae.ranks = true;
    sae.k = read_k(config);
  } else if (architecture == "batchtopk" || architecture == "matryoshka_batchtopk") {
    sae.k = read_k(config);
    sae.thresholds = tensors.take("topk_threshold", {}).reshape({1});
  } else if (architecture == "jumprelu") {
    sae.thresholds = tensors.take("threshold", {n});
    const at::Tensor first = sae.thresholds.narrow(0, 0, 1);
    if (!config.has("metadata")) return;
    // Saved for inference, a batch threshold stands there once a feature.
    const PeerConfig metadata(config, "metadata");
    const std::string trained = metadata.text("training_architecture", "");
    if (trained != "batchtopk" && trained != "matryoshka_batchtopk") return;
    if (!metadata.has("training_architecture_details") || !sae.thresholds.eq(first).all().item<bool>())
      return;
    const PeerConfig details(metadata, "training_architecture_details");
    if (!details.has("k")) return;
    sae.k = read_k(details);
    sae.thresholds = first.clone();
  }
}

}  // namespace

Exported write_saelens(PlainSae sae, const fs::path& folder, const HookNames& names) {
  std::string architecture = "standard";
  NamedTensors tensors;
  if (sae.gated()) {
    architecture = "gated";
    sae = with_plain_gate(std::move(sae));
    tensors = {{"b_gate", sae.encoder_bias}, {"b_mag", sae.magnitude_bias}, {"r_mag", sae.log_scale}};
  } else {
    tensors = {{"b_enc", sae.encoder_bias}};
    if (sae.ranks) architecture = "topk";
    if (sae.thresholds.defined()) {
      architecture = "jumprelu";
      tensors.emplace_back("threshold", thresholds_of(sae));
    }
  }
  if (sae.batch_threshold())
    sae.notes.emplace_back("the batch's threshold, once a feature, as SAELens saves it");
  tensors.emplace_back("W_enc", sae.encoder_weight.t());
  tensors.emplace_back("W_dec", sae.decoder_weight);
  tensors.emplace_back("b_dec", sae.decoder_bias);
  write_safetensors(folder / kSaelensWeights, tensors);
  write_atomically(folder / kSaelensConfig, saelens_config(sae, architecture, names).dump() + "\n");
  return {"SAELens " + architecture, sae.notes};
}

Imported read_saelens(const fs::path& folder) {
  const PeerConfig config(folder / kSaelensConfig);
  const std::string architecture = config.text("architecture");
  check_saelens_version(config);
  check_saelens_settings(config, architecture);
  check_saelens_shape(config);
  const std::int64_t d = config.integer("d_in", 1);
  const std::int64_t n = config.integer("d_sae", 1);
  const fs::path weights_path = folder / kSaelensWeights;
  PeerTensors tensors(SafetensorsFile(weights_path).tensors(), weights_path, kSaelensConfig);
  PlainSae sae;
  sae.encoder_weight = tensors.take("W_enc", {d, n}).t().contiguous();
  sae.decoder_weight = tensors.take("W_dec", {n, d});
  sae.decoder_bias = tensors.take("b_dec", {d});
  sae.centered = config.flag("apply_b_dec_to_input", true);
  if (architecture == "gated") {
    sae.encoder_bias = tensors.take("b_gate", {n});
    sae.magnitude_bias = tensors.take("b_mag", {n});
    sae.log_scale = tensors.take("r_mag", {n});
  } else {
    sae.encoder_bias = tensors.take("b_enc", {n});
  }
  read_saelens_selection(config, architecture, tensors, sae);
  tensors.expect_nothing_else("SAELens " + architecture);
  // Its codes of a rescaled selection are what a feature adds to the reconstruction.
  if (config.flag("rescale_acts_by_decoder_norm", false) &&
      !has_unit_rows(sae.decoder_weight, kFoldedTolerance)) {
    const at::Tensor score_threshold = sae.thresholds;
    sae.thresholds = at::Tensor();
    fold_decoder_norms(sae);
    sae.thresholds = score_threshold;  // is one of the rescaled pre-activations already
  }
  Imported imported{std::move(sae), "SAELens " + architecture, {folder / kSaelensConfig, weights_path}, {}};
  config.remark_on_others(saelens_keys(), imported.remarks);
  if (config.text("reshape_activations", "none") == "hook_z") {
    imported.remarks.emplace_back("a row is the outputs of all heads side by side");
  }
  return imported;
}

}  // namespace regulon::core
