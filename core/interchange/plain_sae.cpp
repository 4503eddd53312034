#include "core/interchange/plain_sae.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <regulon/error.h>
#include <regulon/ops.h>

#include <algorithm>
#include <utility>

#include "core/model/encoder_form.h"

namespace regulon::core {
namespace {

/// Norms of rows that are kept at one differ from it by rounding only.
constexpr double kUnitTolerance = 5e-6;

at::Tensor in_double(const at::Tensor& tensor) { return tensor.detach().to(at::kDouble); }

at::Tensor rounded(const at::Tensor& tensor) { return tensor.to(at::kFloat).contiguous(); }

at::Tensor row_norms(const at::Tensor& weight) {
  return at::linalg_vector_norm(in_double(weight), 2, at::IntArrayRef({1}));
}

[[noreturn]] void refuse(const Run& run, const std::string& what, const std::string& expected,
                         const std::string& found, const std::string& hint) {
  throw InputError({run.folder().string(), what, expected, found, hint});
}

at::Tensor weight_named(const Run& run, const NamedTensors& weights, const std::string& name) {
  const at::Tensor found = find_tensor(weights, name);
  if (!found.defined()) {
    refuse(run, fmt::format("its encoder '{}' has no parameter '{}'", run.config().encoder.plugin, name),
           "the parameters that go with what it provides", "none of that name",
           "this is a fault of the plugin");
  }
  if (!at::isfinite(found).all().item<bool>()) {
    refuse(run, fmt::format("its weights '{}' are not finite", name), "finite numbers", "infinity or NaN",
           "export a run that did not diverge, or an earlier checkpoint's");
  }
  return found.detach();
}

void read_encoder(Run& run, const NamedTensors& weights, PlainSae& sae) {
  const Choice& encoder = run.config().encoder;
  const bool gated = offers(encoder, kGatedEncoder);
  if (!gated && !offers(encoder, kProductEncoder)) {
    refuse(
        run, fmt::format("its encoder '{}' has no form in other libraries", encoder.plugin),
        fmt::format("an encoder that provides '{}' or '{}'", kProductEncoder, kGatedEncoder),
        "one that computes otherwise (more layers, refinement steps, a solver)",
        "nearest: train an encoder of one product on this dictionary ([model] init = this run, init_part = "
        "\"decoder\") and export that; the dictionary itself is decoder.weight of weights.safetensors");
  }
  const at::Tensor own = find_tensor(weights, "encoder.weight");
  sae.encoder_weight = own.defined() ? own.detach() : sae.decoder_weight;  // tied
  sae.encoder_bias = weight_named(run, weights, gated ? "encoder.gate_bias" : "encoder.bias");
  if (gated) {
    sae.magnitude_bias = weight_named(run, weights, "encoder.magnitude_bias");
    sae.log_scale = weight_named(run, weights, "encoder.log_scale");
  }
  sae.centered = is_centered(encoder);
}

/// Thresholds on z for a selection whose score is (z - shift) * scale.
at::Tensor on_pre_activations(const Selection& selection) {
  at::Tensor thresholds = selection.thresholds;
  if (!selection.score_scale.defined() && !selection.score_shift.defined()) {
    return thresholds.defined() ? rounded(thresholds.detach()) : thresholds;
  }
  return rounded(ops::threshold_edges(
      selection, thresholds.defined() ? in_double(thresholds) : at::zeros({1}, at::kDouble)));
}

void read_selection(Run& run, PlainSae& sae) {
  const Selection used = run.selection(/*training=*/false);
  const Selection learnt = run.selection(/*training=*/true);
  const std::string& name = run.config().activation.plugin;
  if (used.family == Selection::Family::threshold) {
    sae.thresholds = on_pre_activations(used);
    const bool shared = sae.thresholds.defined() && sae.thresholds.numel() == 1;
    const bool ranked = learnt.family == Selection::Family::rank && learnt.scope == Selection::Scope::batch;
    if (shared && ranked) sae.k = learnt.k;
    return;
  }
  if (used.scope == Selection::Scope::batch || used.prices.defined() || used.score_shift.defined()) {
    refuse(
        run, fmt::format("its activation '{}' chooses codes by what other libraries do not know", name),
        "a choice by pre-activation, or by pre-activation times decoder norm",
        "one in which feature costs take part",
        "nearest: train with cost_in_selection = \"none\", or with a threshold that is learnt (the costs of "
        "batch_topk are folded into one threshold a feature)");
  }
  if (sae.gated()) {
    refuse(run, fmt::format("its gate is chosen by rank ('{}')", name), "a gate that opens above a threshold",
           "the k largest of a row", "nearest: train the gate with activation = \"relu\"");
  }
  sae.ranks = true;
  sae.k = used.k;
  if (used.score_scale.defined() && !has_unit_rows(sae.decoder_weight, kUnitTolerance))
    fold_decoder_norms(sae);
}

/// Widths of the loss term that reconstructs nested prefixes, if there is one.
void read_prefixes(const Config& config, PlainSae& sae) {
  for (const LossChoice& loss : config.losses) {
    if (!offers(loss.term, kPrefixes)) continue;
    const auto* widths = value_of<std::vector<std::int64_t>>(loss.term, "widths");
    if (widths == nullptr || widths->empty()) return;
    sae.prefixes = *widths;
    if (sae.prefixes.back() < sae.features()) sae.prefixes.push_back(sae.features());
    return;
  }
}

/// From rows as the model sees them, (x - mean) * scale, to rows as stored.
void fold_normalisation(const Normalisation& normalisation, PlainSae& sae) {
  const double scale = normalisation.scale;
  if (scale == 1.0 && !normalisation.mean.defined()) return;
  const at::Tensor weight = in_double(sae.encoder_weight) * scale;
  at::Tensor bias = in_double(sae.decoder_bias) / scale;
  if (normalisation.mean.defined()) {
    const at::Tensor mean = in_double(normalisation.mean);
    bias = bias + mean;
    if (!sae.centered) {
      const at::Tensor shift = at::mv(weight, mean);
      sae.encoder_bias = rounded(in_double(sae.encoder_bias) - shift);
      if (sae.gated()) {
        sae.magnitude_bias = rounded(in_double(sae.magnitude_bias) - shift * in_double(sae.log_scale).exp());
      }
    }
  }
  sae.encoder_weight = rounded(weight);
  sae.decoder_weight = rounded(in_double(sae.decoder_weight) / scale);
  sae.decoder_bias = rounded(bias);
  sae.notes.push_back(fmt::format("the data's normalisation (scale {:.6g}{})", scale,
                                  normalisation.mean.defined() ? ", mean row" : ""));
}

}  // namespace

PlainSae plain_sae(Run& run) {
  const at::NoGradGuard no_grad;
  if (run.config().model.prune_above >= 0) {
    refuse(run, "its codes are pruned after encoding ([model] prune_above)", "codes as an encoder makes them",
           fmt::format("{}", run.config().model.prune_above),
           "nearest: a run that starts from this one ([model] init) without prune_above");
  }
  const NamedTensors weights = run.model().weights();
  PlainSae sae;
  sae.decoder_weight = weight_named(run, weights, "decoder.weight");
  sae.decoder_bias = weight_named(run, weights, "decoder.bias");
  read_encoder(run, weights, sae);
  read_selection(run, sae);
  read_prefixes(run.config(), sae);
  fold_normalisation(run.normalisation(), sae);
  for (at::Tensor* tensor :
       {&sae.encoder_weight, &sae.encoder_bias, &sae.decoder_weight, &sae.decoder_bias}) {
    *tensor = rounded(*tensor);
  }
  return sae;
}

PlainSae centered_as(PlainSae sae, bool centered) {
  if (sae.centered == centered) return sae;
  // (x - c) W^T + b: taking c off less or more goes into b.
  const at::Tensor shift =
      at::mv(in_double(sae.encoder_weight), in_double(sae.decoder_bias)) * (centered ? 1.0 : -1.0);
  sae.encoder_bias = rounded(in_double(sae.encoder_bias) + shift);
  if (sae.gated()) {
    sae.magnitude_bias = rounded(in_double(sae.magnitude_bias) + shift * in_double(sae.log_scale).exp());
  }
  sae.centered = centered;
  sae.notes.emplace_back(centered ? "the decoder's bias, which is taken off the input there"
                                  : "the decoder's bias, which is not taken off the input there");
  return sae;
}

at::Tensor thresholds_of(const PlainSae& sae) {
  if (!sae.thresholds.defined()) return at::zeros({sae.features()}, at::kFloat);
  return sae.thresholds.expand({sae.features()}).contiguous();
}

bool has_unit_rows(const at::Tensor& weight, double tolerance) {
  return (row_norms(weight) - 1).abs().le(tolerance).all().item<bool>();
}

PlainSae with_plain_gate(PlainSae sae) {
  if (!sae.thresholds.defined()) return sae;
  sae.encoder_bias = rounded(in_double(sae.encoder_bias) - in_double(thresholds_of(sae)).clamp_min(0));
  // The magnitude is exp(r) (z - b) + b_mag of the product alone: a gate's bias that moves leaves it as it
  // is.
  sae.thresholds = at::Tensor();
  sae.notes.emplace_back("the gate's thresholds");
  return sae;
}

void fold_decoder_norms(PlainSae& sae) {
  at::Tensor norms = row_norms(sae.decoder_weight);
  norms = at::where(norms > 0, norms, at::ones_like(norms));
  sae.decoder_weight = rounded(in_double(sae.decoder_weight) / norms.unsqueeze(1));
  sae.encoder_weight = rounded(in_double(sae.encoder_weight) * norms.unsqueeze(1));
  sae.encoder_bias = rounded(in_double(sae.encoder_bias) * norms);
  if (sae.gated()) sae.magnitude_bias = rounded(in_double(sae.magnitude_bias) * norms);
  if (sae.thresholds.defined()) sae.thresholds = rounded(in_double(thresholds_of(sae)) * norms);
  sae.notes.emplace_back("decoder norms: codes count in multiples of the unit direction");
}

}  // namespace regulon::core
