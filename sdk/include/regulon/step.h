#pragma once
/// What a plugin sees of a training step.

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <regulon/codes.h>
#include <regulon/selection.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace regulon {

/// Running statistics of each feature, without gradient. Updated after every step.
struct FeatureStats {
  at::Tensor frequency;  ///< [n]: slow average of the share of rows in which the feature is active, in [0, 1]
  at::Tensor mean_value;   ///< [n]: slow average of its value over all rows (zero where inactive)
  at::Tensor silent_rows;  ///< [n] int64: rows seen since it was last active
  std::int64_t rows_seen =
      0;  ///< rows these averages have seen; 0 before the first step, when frequency is meaningless
  std::int64_t width = 0;  ///< d, the activation width
};

/// The dictionary (decoder): n feature directions and a bias. Its derived tensors are made once, whoever
/// asks.
class Dictionary {
 public:
  /// `weight` [n, d], one feature a row; `bias` [d]; the first `frozen_rows` features are frozen (stages).
  Dictionary(at::Tensor weight, at::Tensor bias, std::int64_t frozen_rows = 0, bool unit_norm = true);

  const at::Tensor& weight() const;     ///< [n, d], with gradient
  const at::Tensor& bias() const;       ///< [d], with gradient
  const at::Tensor& norms() const;      ///< [n]: Euclidean norm of each row, with gradient
  const at::Tensor& unit_rows() const;  ///< [n, d]: rows over their norm (zero rows stay zero), with gradient
  std::int64_t features() const;        ///< n
  std::int64_t width() const;           ///< d
  std::int64_t frozen_rows() const;     ///< features [0, frozen_rows) do not learn
  bool unit_norm() const;     ///< whether the core keeps the rows at norm one, so that norms are not free
  Dictionary detach() const;  ///< the same without gradient

 private:
  struct Held;
  std::shared_ptr<Held> held_;
};

/// Everything a step view is made of. The core fills one in per step; tests and the conformance kit fill in
/// their own.
struct StepInputs {
  std::int64_t step = 0;   ///< from 0
  std::uint64_t seed = 0;  ///< of this step; each term's generator is derived from it and its name
  at::Tensor batch;        ///< [B, d], as the model sees it (normalised)
  Codes codes;             ///< [B, n]
  Dictionary dictionary;
  at::Tensor costs;  ///< [n], no gradient, from the feature cost
  FeatureStats stats;
  at::Tensor encoder_directions;                         ///< [n, d] or undefined: see Encoder::directions
  std::map<std::string, at::Tensor> encoder_parameters;  ///< by name, with gradient
  std::function<Codes(const Selection&)> encode;  ///< the encoder on this batch under another selection
};

/// What a loss term sees: read it, never write to it. What is costly is made on first use and shared by all
/// terms.
class StepView {
 public:
  explicit StepView(StepInputs inputs);

  std::int64_t step() const;                 ///< from 0
  const at::Tensor& batch() const;           ///< [B, d]
  const Codes& codes() const;                ///< [B, n]
  const Dictionary& dictionary() const;      ///< [n, d] and [d]
  const at::Tensor& reconstruction() const;  ///< [B, d]: decode(codes, dictionary), with gradient, made once
  const at::Tensor& costs() const;           ///< [n], no gradient, mean one unless the config says otherwise
  const FeatureStats& stats() const;
  /// [n, d]: the encoder's direction per feature, with gradient. Declare the need "encoder.directions".
  /// Throws RunError if the encoder has none.
  const at::Tensor& encoder_directions() const;
  const std::map<std::string, at::Tensor>& encoder_parameters() const;
  /// Codes of this batch under another selection, with gradient: AuxK asks for the best of the dead features.
  Codes encode(const Selection& selection) const;
  /// A generator for this term and step only: the same numbers whether or not other terms draw, resumed or
  /// not.
  at::Generator generator() const;
  /// Tensors that several terms need, under a key that names the computation and its parameters: made by the
  /// first who asks, with whatever gradient they have.
  const std::vector<at::Tensor>& once(const std::string& key,
                                      const std::function<std::vector<at::Tensor>()>& make) const;

  /// The same step as the term `name` sees it: all is shared but the generator.
  StepView for_term(const std::string& name) const;

 private:
  struct Held;
  std::shared_ptr<Held> held_;
  std::string term_;
};

/// A CPU generator seeded from `seed` and a name: the one place from which random streams flow.
at::Generator named_generator(std::uint64_t seed, const std::string& name);
/// `seed` and `salt` mixed into another well-spread seed (SplitMix64 finaliser).
std::uint64_t mix_seed(std::uint64_t seed, std::uint64_t salt);

/// What a hook after the optimiser's step may change: hard constraints, resampling.
struct UpdateView {
  std::int64_t step = 0;
  at::Tensor dictionary_weight;  ///< [n, d], writable; rows below frozen_rows are not yours
  at::Tensor dictionary_bias;    ///< [d], writable
  std::int64_t frozen_rows = 0;
  std::map<std::string, at::Tensor> encoder_parameters;  ///< writable
  at::Tensor batch;                                      ///< [B, d] of the step just taken
  at::Tensor row_errors;                                 ///< [B]: squared error of each row
  FeatureStats stats;
  at::Generator generator;  ///< for this term and step
  /// Clears the optimiser's state of features `ids` [m] int64, in the dictionary and in every encoder
  /// parameter whose first dimension is n.
  std::function<void(const at::Tensor& ids)> reset_optimiser;
};

}  // namespace regulon
