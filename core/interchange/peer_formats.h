#pragma once
/// The formats of other libraries, one source file each: from a folder of theirs, and into one.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/interchange/plain_sae.h"

namespace regulon::core {

/// What other libraries want to know and a run does not: which activations it was trained on. May be empty.
struct HookNames {
  std::string model;  ///< "gpt2-small"
  std::string hook;   ///< "blocks.8.hook_resid_pre"
};

/// What was written: the class that will load it, and what had to be folded or changed for that.
struct Exported {
  std::string kind;  ///< "SAELens jumprelu"
  std::vector<std::string> notes;
};

/// What was read.
struct Imported {
  PlainSae sae;
  std::string kind;                          ///< "SAELens jumprelu"
  std::vector<std::filesystem::path> files;  ///< that were read
  std::vector<std::string> remarks;          ///< on what they say and nothing here is computed from
};

/// SAELens 6: cfg.json and sae_weights.safetensors, as `SAE.load_from_disk` reads them. Standard, topk,
/// jumprelu (also for a learnt batch threshold) and gated.
Exported write_saelens(PlainSae sae, const std::filesystem::path& folder, const HookNames& names);
/// Either form that SAELens saves; batchtopk and matryoshka_batchtopk beside the above.
Imported read_saelens(const std::filesystem::path& folder);

/// sparsify: cfg.json and sae.safetensors, as `SparseCoder.load_from_disk` reads them. TopK only.
Exported write_sparsify(PlainSae sae, const std::filesystem::path& folder, const HookNames& names);
Imported read_sparsify(const std::filesystem::path& folder);

/// dictionary_learning: ae.pt and config.json, as `load_dictionary` reads them. AutoEncoder or
/// AutoEncoderNew, AutoEncoderTopK, BatchTopKSAE, MatryoshkaBatchTopKSAE, JumpReluAutoEncoder,
/// GatedAutoEncoder.
Exported write_dictionary_learning(PlainSae sae, const std::filesystem::path& folder, const HookNames& names);
/// `weights`: ae.pt, or a checkpoint ae_STEP.pt; its config.json lies beside it or one folder up.
Imported read_dictionary_learning(const std::filesystem::path& weights);

}  // namespace regulon::core
