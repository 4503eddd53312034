#include "core/train/combine.h"

#include <fmt/format.h>
#include <regulon/error.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/io/atomic_file.h"
#include "core/io/safetensors.h"

namespace regulon::core {
namespace {

/// Codes of at most `rows` held-out rows.
std::vector<Codes> held_out_codes(Run& run, Source& source, std::int64_t rows) {
  run.require_width(source.width());
  const std::int64_t wanted = std::min(rows, source.held_out_rows());
  if (wanted == 0) {
    throw InputError({"data", "no rows are held out", "rows to see which features fire together", "none",
                      "name files by --data, or choose otherwise: `--choose nearest`"});
  }
  std::vector<Codes> codes;
  for (std::int64_t first = 0; first < wanted; first += kEvaluationBatch)
    codes.push_back(run.encode(source.held_out(first, std::min(kEvaluationBatch, wanted - first))).detach());
  return codes;
}

}  // namespace

CombinedRun combine_run(Run& run, const CombineSettings& settings, Source* source, std::int64_t rows,
                        const std::filesystem::path& out) {
  require_absent(out);
  CombinedRun result;
  std::vector<Codes> codes;
  if (settings.choose == "coactive")
    codes = held_out_codes(run, source != nullptr ? *source : run.source(), rows);
  for (const Codes& batch : codes) result.rows += batch.rows();
  result.combinations = combine_features(run.model().dictionary().weight(), settings, codes);

  const Combinations& made = result.combinations;
  const nlohmann::json asked = {
      {"run", run.folder().string()},      {"choose", settings.choose}, {"count", made.parts.size(0)},
      {"of", made.parts.size(1)},          {"seed", settings.seed},     {"rows", result.rows},
      {"features", run.model().features()}};
  AtomicFolder folder(out);
  write_safetensors(folder.path() / "features.safetensors",
                    {{"features", made.features},
                     {"combination", made.combination},
                     {"parts", made.parts},
                     {"weights", made.weights},
                     {"scores", made.scores}},
                    {{"run", run.folder().string()}, {"choose", settings.choose}});
  write_atomically(folder.path() / "combine.json", asked.dump(2) + "\n");
  folder.commit();
  return result;
}

}  // namespace regulon::core
