#pragma once
/// A sparse autoencoder: an encoder, an activation that selects, and a dictionary.

#include <regulon/activation.h>
#include <regulon/step.h>
#include "core/config/config.h"
#include "core/io/named_tensors.h"
#include "core/model/parameter.h"
#include "core/plugin/guard.h"
#include "core/plugin/host.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace regulon::core {

/// What decides how a batch is encoded, beside the batch.
struct EncodeRequest {
  at::Tensor costs;  ///< [n]
  std::int64_t step = 0;
  std::uint64_t seed = 0;  ///< of this step
  bool training = false;
  bool check_values = true;
};

/// Tensors that a new model takes over, by the names of weights.safetensors: what is there of "decoder.…",
/// "encoder.…" and "activation.…" is taken, the rest begins as the config says.
struct ModelStart {
  NamedTensors weights;
  std::int64_t frozen_features = 0;  ///< above zero: the weights are of so many features, the model's first,
                                     ///< which do not learn; the others begin as the config says
  std::string origin;                ///< the file that they come from, for messages
};

/// Owns the encoder, the activation and the dictionary, and names everything that is learnt or saved.
class Model {
 public:
  /// Makes the plugins; tensors come with `initialise`. `width` is d.
  Model(const Config& config, const PluginHost& host, std::int64_t width);

  /// Draws the dictionary's rows (unit, at random), sets the bias, and lets encoder and activation prepare
  /// themselves. `sample` [rows, d] is normalised data. What `start` holds takes the place of all that.
  /// Throws InputError naming its origin where a tensor does not fit.
  void initialise(const at::Tensor& sample, std::uint64_t seed, const ModelStart& start = {});

  std::int64_t features() const { return features_; }
  std::int64_t width() const { return width_; }

  /// The dictionary over the learnt tensors, its derived tensors not made yet: one per step.
  Dictionary dictionary() const;
  /// Sets scheduled parameters of the encoder and the activation to their values at `step`.
  void update_schedules(std::int64_t step);
  /// What the configured activation chooses by, for `request`.
  Selection selection(const Dictionary& dictionary, const EncodeRequest& request);
  /// Codes of `batch` [B, d] as the configured activation selects them.
  Codes encode(const at::Tensor& batch, const Dictionary& dictionary, const EncodeRequest& request);
  /// Outside training, keeps only codes of which `ops::leave_one_out` is above this; below zero: all.
  void prune_above(double above) { section_.prune_above = above; }
  /// Codes of `batch` under a selection of the caller's.
  Codes encode_with(const Selection& selection, const at::Tensor& batch, const Dictionary& dictionary,
                    const EncodeRequest& request);
  /// The encoder's direction per feature, or undefined.
  at::Tensor encoder_directions(const Dictionary& dictionary) { return encoder_.directions(dictionary); }
  /// Lets the activation look at the codes of the training step just taken.
  void observe(const Codes& codes);

  /// Everything learnt, dictionary first.
  const std::vector<Parameter>& parameters() const { return parameters_; }
  /// The encoder's parameters by their own names.
  std::map<std::string, at::Tensor> encoder_parameters() const;
  /// Everything that inference needs: parameters and states, by the names of weights.safetensors.
  NamedTensors weights() const;
  /// Copies `weights` in. Throws InputError naming `origin` where a tensor is missing or of another shape.
  void load(const NamedTensors& weights, const std::string& origin);
  /// Figures that encoder and activation report.
  std::map<std::string, double> report();

  /// Adds up in `times` what `encode` takes from now on; null: nothing. Selections of others do not count.
  void measure(SelectTimes* times) { times_ = times; }

 private:
  /// Decoder rows that do not learn: the first so many.
  std::int64_t frozen_rows() const;
  /// Refuses what features share: frozen ones would not stay what they are.
  void require_frozen(const GuardedPlugin& plugin, const std::string& origin) const;
  void register_parameters();
  /// Copies into `own` what `start` holds of the same names: whole, or into the first features.
  void copy_start(const NamedTensors& own, const ModelStart& start) const;
  /// Copies the tensors of `start` that begin with `prefix` into those of `plugin`, if there are any: all of
  /// them, or an InputError.
  void take_over(const ModelStart& start, const std::string& prefix, const GuardedPlugin& plugin);
  /// Lets the activation set its thresholds from the codes of the sample.
  void start_activation(const at::Tensor& sample, std::uint64_t seed);

  Choice encoder_choice_;
  Choice activation_choice_;
  ModelSection section_;
  GuardedPlugin encoder_;
  GuardedPlugin activation_;
  std::int64_t features_;
  std::int64_t width_;
  std::int64_t batch_rows_;
  std::int64_t frozen_features_ = 0;  ///< the first so many do not learn
  Selection::Precision precision_;
  SelectTimes* times_ = nullptr;
  at::Tensor weight_;
  at::Tensor bias_;
  Selection last_selection_;  ///< of the training step under way, without gradient
  std::vector<Parameter> parameters_;
};

}  // namespace regulon::core
