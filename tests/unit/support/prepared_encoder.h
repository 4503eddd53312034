#pragma once
/// An encoder plugin on a small step, prepared.

#include <gtest/gtest.h>
#include <regulon/encoder.h>

#include <map>
#include <memory>
#include <string>

#include "tests/unit/support/load_plugin.h"
#include "tests/unit/support/toy_step.h"

namespace regulon::tests {

/// The encoder with its learnt tensors at hand. Its sample of the data are `kSampleRows` normal rows.
struct PreparedEncoder {
  static constexpr std::int64_t kSampleRows = 70;

  PreparedEncoder(const std::string& plugin, const std::map<std::string, ParamValue>& settings)
      : encoder(make_plugin<Encoder>(plugin, settings)) {
    preparation.features = ToyStep::kFeatures;
    preparation.width = ToyStep::kWidth;
    preparation.dictionary_weight = toy.weight.detach();
    preparation.dictionary_bias = toy.bias.detach();
    preparation.sample = normal({kSampleRows, ToyStep::kWidth}, 9);
    preparation.generator = named_generator(5, "test");
    encoder->prepare(preparation);
  }
  /// What is registered as `name`; undefined if nothing is.
  at::Tensor parameter(const std::string& name) const {
    for (const auto& registered : preparation.parameters()) {
      if (registered.name == name) return registered.tensor;
    }
    return {};
  }
  /// Sets everything learnt but `but` to numbers that are not its first ones.
  void perturb(const std::string& but = {}) {
    std::uint64_t seed = 40;
    for (const auto& registered : preparation.parameters()) {
      ++seed;
      if (registered.name != but)
        registered.tensor.detach().copy_(normal(registered.tensor.sizes(), seed) * 0.7);
    }
  }
  Codes encode(const Selection& selection = {}) const {
    return encoder->encode(
        {toy.batch, Dictionary(toy.weight, toy.bias, 0, false), selection, toy.costs, 0, true, {}});
  }

  ToyStep toy;
  Preparation preparation;
  std::unique_ptr<Encoder> encoder;
};

}  // namespace regulon::tests
