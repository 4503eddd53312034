#pragma once
/// How well learnt features tell when true ones are active.

#include <ATen/core/Tensor.h>
#include <regulon/codes.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>

#include "core/io/named_tensors.h"

namespace regulon::core {

/// Each learnt feature as a detector of the true feature that its direction is nearest to by |cosine|, as in
/// SAELens' evaluation on synthetic data. What is divided by nothing is 0: a feature that is never active has
/// a precision of 0.
struct Firing {
  double precision = 0;  ///< mean over all learnt features, dead ones too
  double recall = 0;
  double f1 = 0;
  double accuracy = 0;
  double true_l0 = 0;     ///< true features that are active in a row
  at::Tensor matched;     ///< [n] int64: the true feature
  at::Tensor precisions;  ///< [n] double: of the rows in which it is active, the share where the true one is
  at::Tensor recalls;     ///< [n] double: of the rows in which the true one is active, the share where it is
  at::Tensor f1s;         ///< [n] double: harmonic mean of the two
};

/// Counts batch by batch, O(active) each.
class FiringCollector {
 public:
  /// `matched` [n] int64: of each learnt feature the true one, of `truths`, that it is to tell of.
  FiringCollector(const at::Tensor& matched, std::int64_t truths);
  /// Counts in the codes of the next rows, and their true features' codes; an entry above 0 is active.
  void add(const Codes& codes, const Codes& truth);
  Firing result() const;

 private:
  at::Tensor matched_;      ///< [n] int64
  at::Tensor both_;         ///< [n] int64: rows in which both are active
  at::Tensor active_;       ///< [n] int64
  at::Tensor true_active_;  ///< [n_true] int64
  std::int64_t rows_ = 0;
};

nlohmann::json to_json(const Firing& firing);
/// By learnt feature: "known.precision", "known.recall", "known.f1" [n] float64.
NamedTensors firing_table(const Firing& firing);

}  // namespace regulon::core
