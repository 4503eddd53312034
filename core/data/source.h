#pragma once
/// Where training rows come from. A source is addressed by step, never by what it handed out before: that is
/// what makes a resumed run the same run.

#include <ATen/core/Tensor.h>
#include <regulon/codes.h>
#include <regulon/plugin.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace regulon::core {

/// What a source is told when it is opened.
struct SourceSetup {
  std::uint64_t seed = 0;      ///< of the run's data stream
  std::int64_t batch = 0;      ///< rows a batch
  std::filesystem::path base;  ///< folder that relative paths in its parameters are relative to
};

/// A stream of activation rows, float32, as stored (not normalised).
class Source : public Plugin {
 public:
  Source() = default;
  ~Source() override;

  /// Opens files, draws true features. Throws InputError naming file, expected, found and what to do.
  virtual void open(const SourceSetup& setup) = 0;
  /// d
  virtual std::int64_t width() const = 0;
  /// Training rows of one pass; 0 if the source never ends (toys).
  virtual std::int64_t training_rows() const = 0;
  /// Rows of the training stream for `step`: [batch, d] float32. A pure function of seed and step.
  virtual at::Tensor batch(std::int64_t step) = 0;
  /// Rows kept for measuring, never trained on (toys: rows from a stream of their own, as many as are asked
  /// for).
  virtual std::int64_t held_out_rows() const = 0;
  /// Held-out rows [first, first + count): [count, d] float32.
  virtual at::Tensor held_out(std::int64_t first, std::int64_t count) = 0;
  /// The tokens that held-out rows are the activations of, [count] int64, or undefined.
  virtual at::Tensor held_out_token_ids(std::int64_t first, std::int64_t count) const;
  /// Known true features [n_true, d], unit rows, or undefined.
  virtual at::Tensor true_features() const;
  /// What held-out rows [first, first + count) are made of, where that is known: codes over the true
  /// features.
  virtual std::optional<Codes> held_out_truth(std::int64_t first, std::int64_t count);
  /// Names what was read: equal fingerprints, equal data (hex text).
  virtual std::string fingerprint() const = 0;
};

/// The built-in sources, by name: "files", "toy.three", "toy.pairs", "toy.general"; interface "source/1".
const std::vector<PluginDescriptor>& sources();

}  // namespace regulon::core
