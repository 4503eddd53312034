#include "core/report/measure_run.h"

#include <exception>

#include "core/plugin/call.h"
#include "core/report/feature_examples.h"
#include "core/report/row_map.h"
#include "core/report/run_page.h"
#include "core/train/drop_curve.h"

namespace regulon::core::report {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kDropRows = 2048;  ///< held-out rows for curves of what is left out

Measured::Losses losses_of(const LossSpread& spread) {
  return {spread.quantiles, spread.highest, spread.tail};
}

Measured measured_of(const RunEvaluation& evaluation) {
  Measured measured;
  measured.rows = evaluation.held_out.rows;
  if (evaluation.held_out.frequency.defined() && measured.rows > 0) {
    const at::Tensor frequency = evaluation.held_out.frequency.to(at::kDouble).contiguous();
    measured.frequency.assign(frequency.const_data_ptr<double>(),
                              frequency.const_data_ptr<double>() + frequency.numel());
  }
  if (evaluation.known) measured.known = known_of(*evaluation.known);
  if (evaluation.losses.rows > 0) measured.losses = losses_of(evaluation.losses);
  return measured;
}

Measured::Drop drop_of(const DropCurve& curve) {
  Measured::Drop drop{curve.kind, curve.rows, {}};
  for (const DropPoint& point : curve.points) drop.points.emplace_back(point.l0, point.fvu);
  return drop;
}

/// What needs the model itself, each of it in turn.
void measure_more(Run& run, const Vocabulary& words, FeatureRows& strongest, Measured& measured) {
  strongest = run.top_rows(run.source(), kEvaluationRows, kStrongRows);
  measured.examples = feature_examples(strongest, run.model().dictionary().weight(), measured.rows, words);
  measured.map = row_map(run, run.source(), words);
  for (const std::string& kind : drop_kinds())
    measured.drops.push_back(drop_of(drop_curve(run, run.source(), kDropRows, kind)));
}

}  // namespace

Measured::Known known_of(const KnownFeatures& known) {
  Measured::Known plain;
  plain.order = reading_order(known);
  plain.alive = known.alive;
  plain.composed = known.composed;
  plain.found = known.found;
  plain.missed = known.missed;
  const auto* const best = known.directions.best.const_data_ptr<std::int64_t>();
  const auto* const cosine = known.directions.best_cosine.const_data_ptr<float>();
  plain.best.assign(best, best + known.truths());
  plain.best_cosine.assign(cosine, cosine + known.truths());
  choose_cells(plain);
  const at::Tensor cells = known_cosines(known, plain.drawn, plain.drawn_truths);
  plain.cosines.assign(cells.const_data_ptr<float>(), cells.const_data_ptr<float>() + cells.numel());
  return plain;
}

Measured measure_run(const fs::path& folder, PluginHost& host, const RunEvaluation* evaluation,
                     const Vocabulary& words) {
  Measured measured;
  FeatureRows strongest;
  try {
    if (evaluation != nullptr) measured = measured_of(*evaluation);
    if (evaluation != nullptr && measured.rows == 0) return measured;
    Run run(folder, host);
    if (evaluation == nullptr) measured = measured_of(run.evaluate(run.source(), kEvaluationRows));
    if (measured.rows == 0) return measured;
    measure_more(run, words, strongest, measured);
  } catch (const std::exception&) {
    (measured.rows == 0 ? measured.why_not : measured.why_no_more) = exception_text();
  }
  // At the end of a training run it is too late to refuse: the page says that there are no tokens.
  if (evaluation == nullptr && !words.empty() && strongest.rows.defined()) require_labels(strongest);
  return measured;
}

}  // namespace regulon::core::report
