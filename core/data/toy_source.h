#pragma once
/// What the toy sources have in common: rows that are sums of known feature directions.

#include <cstdint>
#include <string>
#include <vector>

#include "core/data/random_stream.h"
#include "core/data/source.h"

namespace regulon::core {

/// The ways to lay out true features, for the parameter `directions`: "orthonormal" (a random rotation),
/// "axes" (feature i along coordinate i), "random" (independent unit vectors, which overlap).
const std::vector<std::string>& direction_kinds();

/// A source whose rows are sums of magnitude * direction over the features that are active in the row.
class ToySource : public Source {
 public:
  /// Throws InputError if the parameters contradict each other.
  void open(const SourceSetup& setup) final;
  std::int64_t width() const final { return layout_.width; }
  std::int64_t training_rows() const final { return 0; }
  /// Rows [step * batch, (step + 1) * batch) of the training stream.
  at::Tensor batch(std::int64_t step) final;
  std::int64_t held_out_rows() const final { return layout_.held_out; }
  /// Any rows: the stream goes on beyond held_out_rows().
  at::Tensor held_out(std::int64_t first, std::int64_t count) final;
  at::Tensor true_features() const final { return features_; }
  std::optional<Codes> held_out_truth(std::int64_t first, std::int64_t count) final;
  std::string fingerprint() const final;

 protected:
  /// A feature that is active in a row.
  struct Active {
    std::int64_t feature;
    float magnitude;
  };
  /// The toy's sizes.
  struct Layout {
    std::int64_t features = 0;  ///< number of true features
    std::int64_t width = 0;     ///< d
    std::int64_t held_out = 0;  ///< rows to measure on
    std::string directions;     ///< one of direction_kinds()
  };

  /// Checks the parameters against each other and makes the tables that draw() reads. `random` is for these.
  virtual Layout prepare_toy(RandomStream& random) = 0;
  /// Draws one row: which features are active, and how strongly. Called from several threads at once.
  virtual void draw(RandomStream& random, std::vector<Active>& active) const = 0;
  /// The toy's name and all its parameters, as text.
  virtual std::string settings() const = 0;

 private:
  at::Tensor rows(std::uint64_t stream, std::int64_t first, std::int64_t count) const;

  Layout layout_;
  at::Tensor features_;  // [n_true, d] float32
  std::uint64_t seed_ = 0;
  std::uint64_t training_stream_ = 0;
  std::uint64_t held_out_stream_ = 0;
  std::int64_t batch_rows_ = 0;
};

}  // namespace regulon::core
