/// EleutherAI's sparsify: https://github.com/EleutherAI/sparsify (sparsify/sparse_coder.py).

#include <fmt/format.h>
#include <regulon/error.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "core/interchange/peer_files.h"
#include "core/interchange/peer_formats.h"
#include "core/io/atomic_file.h"
#include "core/io/safetensors.h"

namespace regulon::core {
namespace {

namespace fs = std::filesystem;

constexpr char kSparsifyConfig[] = "cfg.json";
constexpr char kSparsifyWeights[] = "sae.safetensors";
constexpr double kSparsifyUnitTolerance = 1e-5;

/// Keys of cfg.json that are read here, or that only training asks for.
const std::set<std::string>& sparsify_keys() {
  static const std::set<std::string> kKeys = {
      "activation", "expansion_factor", "normalize_decoder", "num_latents", "k",
      "multi_topk", "skip_connection",  "transcode",         "d_in"};
  return kKeys;
}

void refuse_sparsify(const std::string& what, const std::string& found, const std::string& nearest) {
  throw InputError(
      {"--to sparsify", what, "an encoder of one product with activation \"topk\"", found, nearest});
}

std::int64_t sparsify_features(const PeerConfig& config, std::int64_t d) {
  const std::int64_t given = config.has("num_latents") ? config.integer("num_latents", 0) : 0;
  return given > 0 ? given : d * config.integer("expansion_factor", 1);
}

}  // namespace

Exported write_sparsify(PlainSae sae, const fs::path& folder, const HookNames& names) {
  static_cast<void>(names);  // the folder's name is the hook point there
  if (sae.gated()) {
    refuse_sparsify("it has no gated encoder", "a gate and magnitudes",
                    "nearest: --to saelens or dictionary_learning (class GatedSAE, GatedAutoEncoder)");
  }
  if (!sae.ranks) {
    refuse_sparsify("it only takes the k largest of a row",
                    sae.thresholds.defined() ? "thresholds" : "every positive pre-activation",
                    "nearest: --to saelens or dictionary_learning, which have such classes");
  }
  sae = centered_as(std::move(sae), true);
  const bool unit = has_unit_rows(sae.decoder_weight, kSparsifyUnitTolerance);
  write_safetensors(folder / kSparsifyWeights, {{"encoder.weight", sae.encoder_weight},
                                                {"encoder.bias", sae.encoder_bias},
                                                {"W_dec", sae.decoder_weight},
                                                {"b_dec", sae.decoder_bias}});
  const nlohmann::json config = {
      {"activation", "topk"},
      {"expansion_factor", std::max<std::int64_t>(1, sae.features() / sae.width())},
      {"normalize_decoder", unit},
      {"num_latents", sae.features()},
      {"k", sae.k},
      {"multi_topk", false},
      {"skip_connection", false},
      {"transcode", false},
      {"d_in", sae.width()}};
  write_atomically(folder / kSparsifyConfig, config.dump() + "\n");
  return {"sparsify topk", sae.notes};
}

Imported read_sparsify(const fs::path& folder) {
  const PeerConfig config(folder / kSparsifyConfig);
  if (config.text("activation", "topk") != "topk") {
    config.refuse("activation", "\"topk\"", "the largest of each group of features has no counterpart here");
  }
  if (config.flag("transcode", false)) {
    config.refuse("transcode", "false",
                  "a transcoder predicts other rows than it reads; here is no such model");
  }
  if (config.flag("skip_connection", false)) {
    config.refuse("skip_connection", "false", "a model here has no product from input to output");
  }
  const std::int64_t d = config.integer("d_in", 1);
  const std::int64_t n = sparsify_features(config, d);
  const fs::path weights_path = folder / kSparsifyWeights;
  PeerTensors tensors(SafetensorsFile(weights_path).tensors(), weights_path, kSparsifyConfig);
  PlainSae sae;
  sae.encoder_weight = tensors.take("encoder.weight", {n, d});
  sae.encoder_bias = tensors.take("encoder.bias", {n});
  sae.decoder_weight = tensors.take("W_dec", {n, d});
  sae.decoder_bias = tensors.take("b_dec", {d});
  tensors.expect_nothing_else("a sparsify autoencoder");
  sae.ranks = true;
  sae.k = config.integer("k", 1);
  if (sae.k > n) config.refuse("k", fmt::format("at most the {} latents", n), "correct it");
  Imported imported{std::move(sae), "sparsify topk", {folder / kSparsifyConfig, weights_path}, {}};
  config.remark_on_others(sparsify_keys(), imported.remarks);
  return imported;
}

}  // namespace regulon::core
