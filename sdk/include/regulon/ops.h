#pragma once
/// Differentiable operations on codes and dictionaries. Each has one definition, costs O(active * d) where it
/// can, and gives the same bits for every number of threads. Float and double.

#include <ATen/core/Tensor.h>
#include <regulon/codes.h>
#include <regulon/selection.h>
#include <regulon/step.h>

#include <cstdint>
#include <string>
#include <vector>

namespace regulon::ops {

/// z = (input - center) · weightᵀ + bias, and of z what `selection` keeps.
struct Product {
  at::Tensor input;   ///< [B, d], gradient optional
  at::Tensor weight;  ///< [n, d]
  at::Tensor bias;    ///< [n] or undefined
  at::Tensor center;  ///< [d] or undefined: subtracted from every row of the input, with gradient
};

/// Codes of the product under the selection: the one operation behind every encoder whose last layer is a
/// product.
///
/// A code's value is *defined* as bias plus the dot product of its row and feature in 16 interleaved partial
/// sums over d (sum j takes the elements j, j + 16, …, by fused multiply-add in float), the partials then
/// added as a balanced tree. The matrix product only screens: it is computed in row blocks small enough to
/// stay in cache, and every feature that could still matter given its rounding error is recomputed as
/// defined. So neither BLAS nor threads nor block sizes show in the codes. When a threshold keeps more than
/// `kDenseAbove` of the first block's entries, the batch is done as one dense product, whose values agree
/// with the definition to rounding. Gradients: to weight, bias, center and input, by feature or by row over
/// listed entries only. Throws RunError on shapes, dtypes or devices that do not fit.
Codes select_product(const Product& product, const Selection& selection);

/// [n] or [1]: the pre-activation z of a feature whose score just equals `thresholds`, threshold /
/// score_scale + score_shift. The selection's costs get no gradient.
at::Tensor threshold_edges(const Selection& selection, const at::Tensor& thresholds);

/// Biases [n] with which each feature of the product fires in the same share of its rows, l0 / n but never
/// less than one row, so that about l0 features a row pass zero: for initialisation from data (Anthropic
/// 2025, "Dictionary Learning Optimization Techniques", Transformer Circuits, January update). The product's
/// own bias is not read; no gradient. Throws RunError on shapes that do not fit, or without rows.
at::Tensor bias_for_l0(const Product& product, double l0);

/// Share of listed entries above which `select_product` prefers the dense form.
inline constexpr double kDenseAbove = 0.10;

/// Reconstruction [B, d]: each row the sum of its features' dictionary rows times their values, plus `bias`
/// [d] (undefined: none). Gradients to values, `weight` [n, d] and `bias`. O(entries * d); dense codes use
/// matrix products.
at::Tensor decode(const Codes& codes, const at::Tensor& weight, const at::Tensor& bias);
/// The same with the dictionary's weight and bias.
at::Tensor decode(const Codes& codes, const Dictionary& dictionary);

/// The codes of consecutive blocks of features, each as codes over that block alone (its first feature is 0
/// there), with gradient to the values. `sizes`: features of each block, adding up to n. O(entries) a block.
/// Channels are dropped.
std::vector<Codes> split_features(const Codes& codes, const std::vector<std::int64_t>& sizes);

/// What nested dictionaries miss: sum over j and over rows of |x - xhat_j|^2, where xhat_j is decoded from
/// the features of the first j blocks alone, plus the dictionary's bias. `sizes`: features of each block,
/// adding up to n; `batch` x [B, d]. A scalar with gradient to the values and the dictionary, none to the
/// batch. For about one decode: each prefix goes on from the one before while the row is in cache; the
/// gradient keeps one [B, d] a block.
at::Tensor nested_errors(const Codes& codes, const Dictionary& dictionary, const at::Tensor& batch,
                         const std::vector<std::int64_t>& sizes);

/// Sum over listed entries of weights[feature] * value: a scalar with gradient to the values and to `weights`
/// [n] (undefined: all one).
at::Tensor weighted_sum(const Codes& codes, const at::Tensor& weights);

/// [entries]: what each listed entry of the step's codes adds to the reconstruction, for penalties that look
/// at one code at a time: its value times the norm of its decoder row under `decoder_norms` "on", its value
/// under "off"; "auto" is "on" where the norms are free, since codes could shrink there while the decoder
/// grows. Gradients to the values and to the dictionary. Throws RunError on another word.
at::Tensor code_sizes(const StepView& step, const std::string& decoder_norms);

/// The codes of the listed entries for which `keep` [entries] bool is true, with gradient to their values;
/// channels are dropped.
Codes keep_entries(const Codes& codes, const at::Tensor& keep);

/// [entries]: how far each listed entry's atom points along what all other entries leave of the row x [B, d],
/// (x - xhat) . d_i + a_i |d_i|^2; over |d_i|^2 it is the value that fits best beside them. No gradient.
at::Tensor leave_one_out(const Codes& codes, const at::Tensor& rows, const Dictionary& dictionary);
/// Only the entries whose `leave_one_out` is above `above`, with gradient to their values; channels are
/// dropped. One pass: what the entries that go leave to the others is not counted anew.
Codes prune(const Codes& codes, const at::Tensor& rows, const Dictionary& dictionary, double above);

/// Active entries (value > 0) per feature: [n] int64, no gradient.
at::Tensor feature_counts(const Codes& codes);
/// Sum of values per feature: [n], no gradient.
at::Tensor feature_sums(const Codes& codes);

}  // namespace regulon::ops
