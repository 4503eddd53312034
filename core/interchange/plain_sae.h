#pragma once
/// A sparse autoencoder in the words that other libraries share: on rows as stored, without a normalisation.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/train/run.h"

namespace regulon::core {

/// z = (x - c) W^T + b with c the decoder's bias or zero; the codes a are those of z that the selection
/// leaves; xhat = a D + b_dec. Gated: z is the gate, and a = ReLU(exp(r) (z - b) + b_mag) where it is open.
/// All tensors are float32, contiguous and on the CPU.
struct PlainSae {
  at::Tensor encoder_weight;  ///< W [n, d]
  at::Tensor encoder_bias;    ///< b [n]
  at::Tensor decoder_weight;  ///< D [n, d]
  at::Tensor decoder_bias;    ///< b_dec [d]
  bool centered = true;       ///< the decoder's bias is taken off the input
  at::Tensor magnitude_bias;  ///< b_mag [n]; undefined: not gated
  at::Tensor log_scale;       ///< r [n]; undefined: not gated

  bool ranks = false;     ///< the k largest of a row; else z above its threshold
  std::int64_t k = 0;     ///< of a row; of a threshold that was learnt while ranking batches: the mean
  at::Tensor thresholds;  ///< [n], or [1] for one that all share; undefined: 0

  std::vector<std::int64_t> prefixes;  ///< widths of nested dictionaries, growing, n last; empty: none
  std::vector<std::string> notes;      ///< what was folded or changed, as a person reads it

  std::int64_t features() const { return decoder_weight.size(0); }
  std::int64_t width() const { return decoder_weight.size(1); }
  bool gated() const { return log_scale.defined(); }
  /// A threshold that all features share and that was learnt while whole batches were ranked.
  bool batch_threshold() const { return !ranks && k > 0; }
};

/// `run` as such: the normalisation of its data is folded into the weights, so that rows as stored give the
/// run's codes, and its reconstruction in the data's units. A selection by pre-activation times decoder norm
/// becomes one by pre-activation, and codes then count in multiples of the unit direction. Throws InputError
/// for what has no such form: another encoder, a selection by cost.
PlainSae plain_sae(Run& run);

/// `sae` with the decoder's bias taken off the input or not, as `centered` says: what changes is folded into
/// the encoder's bias, and noted.
PlainSae centered_as(PlainSae sae, bool centered);

/// Thresholds [n], one a feature: zeros where there are none.
at::Tensor thresholds_of(const PlainSae& sae);

/// Whether every row of the dictionary has norm one up to `tolerance`.
bool has_unit_rows(const at::Tensor& weight, double tolerance);

/// A gated one whose gate opens at zero: its thresholds are folded into the gate's bias.
PlainSae with_plain_gate(PlainSae sae);

/// Decoder rows brought to norm one, their norms multiplied into the encoder: what takes part in a
/// reconstruction stays the same, codes are multiplied by the norms.
void fold_decoder_norms(PlainSae& sae);

}  // namespace regulon::core
