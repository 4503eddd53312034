#include "core/cli/print.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace regulon::cli {

std::string list_text(const std::vector<std::int64_t>& ids) {
  return ids.empty() ? "none" : fmt::format("{}", fmt::join(ids, ", "));
}

void print_losses(const core::LossSpread& losses) {
  fmt::print("loss of a row      ");
  for (const auto& [share, loss] : losses.quantiles) fmt::print(" {:.4g}% {:.4f} ", 100 * share, loss);
  fmt::print(" highest {:.4f}  (mean: FVU)\n", losses.highest);
  std::vector<std::string> worst;
  for (const core::NamedRow& one : losses.worst)
    worst.push_back(fmt::format("{} ({:.3f})", one.row, one.loss));
  fmt::print("worst rows          {}; the worst 1% have {:.1f}% of the loss\n", fmt::join(worst, ", "),
             100 * losses.tail);
}

namespace {

void print_rivals(const std::vector<core::DropRival>& rivals, const char* conclusion) {
  fmt::print("\n{:>10}{:>10}{:>16}  beside it\n", "FVU", "L0", "FVU of dropping");
  for (const core::DropRival& rival : rivals) {
    fmt::print("{:>10.4f}{:>10.2f}{:>16}  {}{}\n", rival.fvu, rival.l0,
               rival.curve_fvu ? fmt::format("{:.4f}", *rival.curve_fvu) : "not that L0", rival.run,
               rival.other_data ? " (trained on other data: not to be held against this)" : "");
  }
  fmt::print(
      "Where dropping leaves much more unexplained than a run trained to that L0, {} that others can take "
      "over.\n",
      conclusion);
}

}  // namespace

void print_drop_curve(const core::DropCurve& curve) {
  const bool weakest = curve.kind == "weakest";
  fmt::print("Without the {} on {} rows\n",
             weakest ? "weakest codes of each row" : "features that are active most often", curve.rows);
  fmt::print("{:>10}{:>12}{:>10}{:>10}{:>16}\n", "dropped", weakest ? "codes" : "of all", "FVU", "L0",
             "relative bias");
  for (const core::DropPoint& point : curve.points) {
    const std::string unit = weakest ? "a row" : fmt::format("{:.2f}%", 100 * point.share);
    fmt::print("{:>10}{:>12}{:>10.4f}{:>10.2f}{:>16.4f}\n", point.dropped, unit, point.fvu, point.l0,
               point.relative_bias);
  }
  fmt::print("The other codes are as they were.\n");
  if (curve.rivals.empty()) {
    fmt::print("--beside RUN holds it against runs with a higher sparsity weight, at their L0.\n");
  } else {
    print_rivals(curve.rivals, weakest ? "the weak codes did work" : "the common features did work");
  }
}

void print_evaluation(const core::RunEvaluation& evaluation) {
  const core::Evaluation& held_out = evaluation.held_out;
  if (held_out.rows == 0) {
    fmt::print("no rows are held out: nothing to measure on (see [data] held_out, or eval --data)\n");
    return;
  }
  fmt::print("held-out rows       {}\n", held_out.rows);
  if (held_out.variance > 0) {
    fmt::print("FVU                 {:.4f}  (explained variance {:.4f}; {:.4f} by the legacy formula)\n",
               held_out.fvu, held_out.explained_variance, held_out.explained_variance_legacy);
  } else {
    fmt::print("FVU                 not defined: the rows have no variance (squared error of a row {:.4g})\n",
               held_out.mse);
  }
  fmt::print("L0                  {:.2f} active features a row\n", held_out.l0);
  fmt::print("L1                  {:.3f} a row\n", held_out.l1);
  fmt::print("code length         {:.1f} nats a row to name the active features\n", held_out.code_length);
  fmt::print("unused features     {:.2f}%\n", 100 * held_out.unused_share);
  fmt::print("cosine              {:.4f}  norm ratio {:.4f}  relative bias {:.4f}\n", held_out.cosine,
             held_out.norm_ratio, held_out.relative_bias);
  if (const auto& coherence = evaluation.coherence) {
    fmt::print(
        "dictionary rows     {:.4f} mean cosine with the nearest  {:.4f} closest pair  {} pairs above 0.5\n",
        coherence->mean_nearest, coherence->closest, coherence->pairs_above_half);
  }
  if (!evaluation.known) return;
  const core::KnownFeatures& known = *evaluation.known;
  fmt::print("true features found {} of {}  (missed: {})\n", known.found.size(),
             known.found.size() + known.missed.size(), list_text(known.missed));
  fmt::print("combinations        {} of {} alive features\n", known.composed.size(), known.alive.size());
  fmt::print("MCC                 {:.4f}  uniqueness {:.4f}\n", known.mcc, known.uniqueness);
  if (!evaluation.firing) return;
  const core::Firing& firing = *evaluation.firing;
  fmt::print(
      "firing              precision {:.4f}  recall {:.4f}  F1 {:.4f}, as detectors of the nearest true "
      "feature\n",
      firing.precision, firing.recall, firing.f1);
  fmt::print("true features       {:.2f} active in a row\n", firing.true_l0);
}

}  // namespace regulon::cli
