#pragma once
/// Signs of feature absorption: where an encoder looks for a feature elsewhere than its decoder puts it.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "core/io/named_tensors.h"

namespace regulon::core {

/// A feature and the other one whose decoder row is nearest to its own.
struct FeaturePair {
  std::int64_t feature = 0;
  std::int64_t other = 0;
  double decoder = 0;  ///< cosine of the two decoder rows
  double encoder = 0;  ///< cosine of the two encoder directions
  double turned = 0;   ///< cosine of the feature's encoder direction with the other's decoder row
};

/// How encoder directions and decoder rows lie. Absorption (Chanin et al. 2024, "A is for Absorption") shows
/// as a general feature whose encoder turns away from a special one, so as to be silent where that one is
/// active, while its decoder row, which the special one took in, stays near.
struct Absorption {
  at::Tensor ids;      ///< [n] int64: features looked at
  at::Tensor own;      ///< [n] float32: cosine of encoder direction and decoder row
  at::Tensor other;    ///< [n] int64: the feature with the nearest decoder row; -1: none
  at::Tensor decoder;  ///< [n] float32: as in FeaturePair, of the feature and its `other`
  at::Tensor encoder;  ///< [n] float32
  at::Tensor turned;   ///< [n] float32
  double mean_own = 0;
  double low_own = 0;                                   ///< a tenth are below
  std::vector<std::int64_t> histogram;                  ///< of `own`, in bins of 0.02 from -1 to 1
  std::vector<std::pair<std::int64_t, double>> lowest;  ///< features with the lowest own cosine, and that
  std::vector<FeaturePair> pairs;  ///< decoder less encoder cosine highest, that first; each pair once
  double apart = 0;  ///< share of features whose encoder turns away from their other: `turned` below zero
};

/// Looks at features `ids` [n] int64 of encoder directions [N, d] and decoder rows [N, d]; names `named` of
/// them. In blocks: nothing is n x n. Throws InputError if no feature is left.
Absorption absorption_signs(const at::Tensor& encoder, const at::Tensor& decoder, const at::Tensor& ids,
                            std::int64_t named = 8);

nlohmann::json to_json(const Absorption& absorption);
/// "ids", "own", "other", "decoder", "encoder", "turned".
NamedTensors absorption_table(const Absorption& absorption);

}  // namespace regulon::core
