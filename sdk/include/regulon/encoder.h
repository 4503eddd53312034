#pragma once
/// encoder/1: turns a batch into codes.

#include <regulon/plugin.h>
#include <regulon/step.h>

namespace regulon {

/// What an encoder is given for one batch.
struct EncodeView {
  at::Tensor batch;       ///< [B, d], as the model sees it (normalised)
  Dictionary dictionary;  ///< in training with gradient
  Selection selection;    ///< which pre-activations become codes: hand it to ops::select_product
  at::Tensor costs;       ///< [n], no gradient
  std::int64_t step = 0;  ///< 0 outside training
  bool training = false;
  at::Generator generator;  ///< for this step
};

/// Makes pre-activations and lets the selection choose. Owns its parameters: registers them in `prepare`.
class Encoder : public Plugin {
 public:
  Encoder() = default;
  ~Encoder() override;

  /// Codes [B, n] with gradient to the parameters (a solver returns constants).
  virtual Codes encode(const EncodeView& view) = 0;
  /// One direction per feature, [n, d] with gradient, or undefined if this encoder has none. An encoder that
  /// returns one provides "encoder.directions".
  virtual at::Tensor directions(const Dictionary& dictionary) const;
};

}  // namespace regulon

/// REGULON_ENCODER(Class, "name", "one line about it"), once in a library, at namespace scope.
#define REGULON_ENCODER(CLASS, NAME, SUMMARY) REGULON_PLUGIN(CLASS, "encoder/1", NAME, SUMMARY)
