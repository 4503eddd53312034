#include "core/data/source.h"

#include "core/data/file_source.h"
#include "core/data/toy_general.h"
#include "core/data/toy_pairs.h"
#include "core/data/toy_three.h"

namespace regulon::core {

Source::~Source() = default;

at::Tensor Source::held_out_token_ids(std::int64_t, std::int64_t) const { return {}; }

at::Tensor Source::true_features() const { return {}; }

std::optional<Codes> Source::held_out_truth(std::int64_t, std::int64_t) { return std::nullopt; }

const std::vector<PluginDescriptor>& sources() {
  static const std::vector<PluginDescriptor> all = {
      describe_plugin<FileSource>("source/1", "files",
                                  "Activations from safetensors or npy files, shuffled in blocks"),
      describe_plugin<ToyThree>("source/1", "toy.three",
                                "Three features: two frequent ones that go together, and a rare one"),
      describe_plugin<ToyPairs>("source/1", "toy.pairs",
                                "Two sets of features, one of each in every row, in correlated pairs"),
      describe_plugin<ToyGeneral>("source/1", "toy.general",
                                  "Many features with probabilities, correlation, hierarchy and magnitudes"),
  };
  return all;
}

}  // namespace regulon::core
