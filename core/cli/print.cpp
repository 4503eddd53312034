#include "core/cli/print.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace regulon::cli {

std::string list_text(const std::vector<std::int64_t>& ids) {
  return ids.empty() ? "none" : fmt::format("{}", fmt::join(ids, ", "));
}

void print_evaluation(const core::RunEvaluation& evaluation) {
  const core::Evaluation& held_out = evaluation.held_out;
  if (held_out.rows == 0) {
    fmt::print("no rows are held out: nothing to measure on (see [data] held_out, or eval --data)\n");
    return;
  }
  fmt::print("held-out rows       {}\n", held_out.rows);
  fmt::print("FVU                 {:.4f}  (explained variance {:.4f})\n", held_out.fvu,
             held_out.explained_variance);
  fmt::print("L0                  {:.2f} active features a row\n", held_out.l0);
  fmt::print("L1                  {:.3f} a row\n", held_out.l1);
  fmt::print("code length         {:.1f} nats a row to name the active features\n", held_out.code_length);
  fmt::print("unused features     {:.2f}%\n", 100 * held_out.unused_share);
  fmt::print("cosine              {:.4f}  norm ratio {:.4f}  relative bias {:.4f}\n", held_out.cosine,
             held_out.norm_ratio, held_out.relative_bias);
  if (!evaluation.known) return;
  const core::KnownFeatures& known = *evaluation.known;
  fmt::print("true features found {} of {}  (missed: {})\n", known.found.size(),
             known.found.size() + known.missed.size(), list_text(known.missed));
  fmt::print("combinations        {} of {} alive features\n", known.composed.size(), known.alive.size());
}

}  // namespace regulon::cli
