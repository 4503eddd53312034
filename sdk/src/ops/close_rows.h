#pragma once
/// Work on listed close pairs of unit rows: turning them apart one by one, and the excess of all of them.

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <regulon/codes.h>

#include <cstdint>

#include "ops/coherence_excess.h"

namespace regulon::ops::detail {

/// Turns the pairs apart whose |cos| is above `mu` by more than `slack`, one after the other, each in its
/// plane until it is mu; a frozen row leaves the turn to the other. Rows [n, d] stay of length one. Returns
/// the largest |cos| that was met. Equal rows part in a direction that `generator` draws.
double turn_apart(at::Tensor& rows, const ClosePairs& pairs, double mu, double slack, std::int64_t frozen,
                  const at::Generator& generator);

/// Excess of listed pairs, as find_excess has it of all.
class ListedExcess {
 public:
  ListedExcess(const ClosePairs& pairs, std::int64_t rows, double mu, std::int64_t frozen);
  Excess operator()(const at::Tensor& unit_rows) const;

 private:
  double mu_;
  std::int64_t frozen_;
  at::Tensor offsets_;  ///< [n + 1] int64: the pairs of each row
  at::Tensor others_;   ///< [pairs] int32
  at::Tensor times_;    ///< [pairs] double: how many of the two rows learn
  FeatureOrder both_;   ///< each pair from either side
};

}  // namespace regulon::ops::detail
