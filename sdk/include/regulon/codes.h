#pragma once
/// The codes of a batch: which features are active in which row, and how strongly.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace regulon {

/// The entries of some codes in order of feature, then row: the transpose that every gradient by feature
/// reads.
struct FeatureOrder {
  at::Tensor
      offsets;  ///< [n + 1] int64: feature i owns positions offsets[i] … offsets[i + 1] of the two below
  at::Tensor entries;  ///< [entries] int64: position of the entry in the codes
  at::Tensor rows;     ///< [entries] int32: its row
};

/// B rows of codes over n features, as compressed sparse rows or, while a batch is too dense for that to pay,
/// as a matrix.
///
/// *Listed* entries carry gradient; an entry is *active* if its value is above zero. Listed but inactive
/// entries are near misses: a threshold's straight-through gradient reaches them. Within a row, feature ids
/// ascend and do not repeat. Copies are cheap and share everything. Both forms can be read whichever is held;
/// the other is made on first use.
class Codes {
 public:
  /// Sparse codes. `row_offsets` [B + 1] int64 from 0 to `entries`, `feature_ids` [entries] int32, `values`
  /// [entries] floating. Throws RunError if shapes or types do not fit together (the contents are not
  /// scanned).
  static Codes sparse(std::int64_t features, at::Tensor row_offsets, at::Tensor feature_ids,
                      at::Tensor values);
  /// Dense codes: `values` [B, n] floating; entries other than zero are listed.
  static Codes dense(at::Tensor values);

  std::int64_t rows() const;      ///< B
  std::int64_t features() const;  ///< n
  std::int64_t entries() const;   ///< listed entries; makes the sparse form
  bool is_sparse() const;         ///< whether the sparse form is the one held

  const at::Tensor& row_offsets() const;  ///< [B + 1] int64
  const at::Tensor& feature_ids() const;  ///< [entries] int32
  const at::Tensor& values() const;       ///< [entries], with gradient
  /// [B, n] with gradient, zeros written out. Costs what a matrix costs: declare the need "codes.dense" to
  /// say so.
  const at::Tensor& to_dense() const;

  /// The transpose, made once by a counting sort: deterministic, no atomics.
  const FeatureOrder& by_feature() const;
  /// [entries] int32: the row of each entry.
  const at::Tensor& entry_rows() const;

  /// The same codes with another value per entry (for example without gradient, or scaled). `values`
  /// [entries]. Channels are dropped, since they belong to the old values.
  Codes with_values(at::Tensor values) const;
  /// The same codes without gradient.
  Codes detach() const;

  /// A second value per listed entry, under a well-known name, with its own gradient:
  ///
  /// - "open": 1 if the entry is above its threshold, 0 for a near miss; straight-through gradient to the
  ///   threshold: what an L0 penalty sums;
  /// - "gate": the activation ReLU(pi) of a gated encoder's gate, whose codes are magnitudes; 0 for a near
  ///   miss. An entry whose magnitude is zero is not active, and yet may have a gate.
  ///
  /// `channel` throws RunError when there is none of that name; terms declare the need "codes.NAME" so that a
  /// config without it is refused before anything runs.
  bool has_channel(const std::string& name) const;
  const at::Tensor& channel(const std::string& name) const;
  Codes with_channel(const std::string& name, at::Tensor per_entry) const;

 private:
  struct Held;
  explicit Codes(std::shared_ptr<Held> held) : held_(std::move(held)) {}
  std::shared_ptr<Held> held_;
};

}  // namespace regulon
