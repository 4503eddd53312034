#include "core/train/compare.h"

#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <regulon/error.h>
#include <regulon/ops.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/io/json_file.h"
#include "core/measure/nearest.h"

namespace regulon::core {
namespace {

at::Tensor decoder_rows(Run& run) { return run.model().dictionary().detach().weight(); }

/// The hash of the data that the run was trained on, as its manifest has it: the data themselves need not be
/// there any more. Empty for a run that has none.
std::string trained_on(const Run& run) {
  if (!run.has_data()) return {};
  const nlohmann::json manifest = read_json_object(run.folder() / "manifest.json");
  const auto hash = manifest.find("data");
  return hash != manifest.end() && hash->is_string() ? hash->get<std::string>() : std::string();
}

/// What a run makes of rows as stored: counted, and the loss of each row.
class RunOnRows {
 public:
  explicit RunOnRows(Run& run)
      : run_(run),
        dictionary_(run.model().dictionary().detach()),
        evaluator_(run.model().features(), run.model().width(), run.normalisation()) {}

  /// |x - xhat|^2 of each row as stored, [B] double.
  at::Tensor add(const at::Tensor& stored) {
    const at::Tensor rows = run_.normalisation().apply(stored);
    const Codes codes = run_.encode(stored);
    const at::Tensor rebuilt = ops::decode(codes, dictionary_);
    evaluator_.add(rows, codes, rebuilt);
    return row_losses(rows, rebuilt, run_.normalisation().scale);
  }
  Evaluation result() const { return evaluator_.result(); }

 private:
  Run& run_;
  Dictionary dictionary_;
  Evaluator evaluator_;
};

RowComparison compare_on_rows(Run& a, Run& b, Source& source, std::int64_t rows,
                              const LossListener& listener) {
  a.require_width(source.width());
  const std::int64_t wanted = std::min(rows, source.held_out_rows());
  if (wanted == 0) {
    throw InputError({"data", "no rows are held out", "rows to compare the runs on", "none",
                      "name files: `regulon compare A B --data GLOB`"});
  }
  RunOnRows on_a(a);
  RunOnRows on_b(b);
  LossPairCollector losses;
  for (std::int64_t first = 0; first < wanted; first += kEvaluationBatch) {
    const at::Tensor stored = source.held_out(first, std::min(kEvaluationBatch, wanted - first));
    const at::Tensor of_a = on_a.add(stored);
    const at::Tensor of_b = on_b.add(stored);
    losses.add(of_a, of_b);
    if (listener) listener(of_a, of_b);
  }
  const Evaluation of_a = on_a.result();
  return {of_a, on_b.result(), losses.result(of_a.variance), of_a.variance};
}

}  // namespace

bool have_other_data(const Run& a, const Run& b) {
  const std::string data_a = trained_on(a);
  const std::string data_b = trained_on(b);
  return !data_a.empty() && !data_b.empty() && data_a != data_b;
}

RunComparison compare_runs(Run& a, Run& b, Source* source, std::int64_t rows,
                           const ComparisonSettings& settings, const LossListener& listener) {
  const at::NoGradGuard no_grad;
  const at::Tensor rows_a = decoder_rows(a);
  const at::Tensor rows_b = decoder_rows(b);
  if (rows_a.size(1) != rows_b.size(1)) {
    throw InputError({b.folder().string(), "cannot be compared with " + a.folder().string(),
                      fmt::format("a run of width {}", rows_a.size(1)),
                      fmt::format("width {}", rows_b.size(1)),
                      "compare runs on activations of the same model and layer"});
  }
  RunComparison result;
  result.other_data = have_other_data(a, b);
  if (source != nullptr) result.rows = compare_on_rows(a, b, *source, rows, listener);
  result.all = compare_dictionaries(rows_a, rows_b, settings);
  if (!result.rows) return result;
  const at::Tensor alive_a = (result.rows->a.frequency > 0).nonzero().squeeze(1);
  const at::Tensor alive_b = (result.rows->b.frequency > 0).nonzero().squeeze(1);
  const bool none = alive_a.size(0) == 0 || alive_b.size(0) == 0;
  const bool whole = alive_a.size(0) == rows_a.size(0) && alive_b.size(0) == rows_b.size(0);
  if (whole) result.alive = result.all;
  if (none || whole) return result;
  DictionaryComparison alive =
      compare_dictionaries(rows_a.index_select(0, alive_a), rows_b.index_select(0, alive_b), settings);
  const auto renumber = [](at::Tensor& ids, const at::Tensor& names) { ids = names.index({ids}); };
  renumber(alive.ids_a, alive_a);
  renumber(alive.nearest_ids_b, alive_a);
  renumber(alive.ids_b, alive_b);
  renumber(alive.nearest_ids_a, alive_b);
  result.alive = std::move(alive);
  return result;
}

void add_arithmetic(RunComparison& comparison, Run& a, Run& b, const ArithmeticSettings& settings) {
  const at::NoGradGuard no_grad;
  const DictionaryComparison& features = comparison.alive ? *comparison.alive : comparison.all;
  const at::Tensor of_a = unit_directions(decoder_rows(a).index_select(0, features.ids_a));
  const at::Tensor of_b = unit_directions(decoder_rows(b).index_select(0, features.ids_b));
  const auto named = [](Arithmetic found, const at::Tensor& ids, const at::Tensor& part_ids,
                        std::int64_t parts) {
    found.ids = ids.index({found.ids});
    if (found.sums) {
      const Codes& sums = *found.sums;
      found.sums =
          Codes::sparse(parts, sums.row_offsets(),
                        part_ids.index({sums.feature_ids().to(at::kLong)}).to(at::kInt), sums.values());
    }
    return found;
  };
  comparison.a_from_b =
      named(feature_arithmetic(of_a, of_b, settings), features.ids_a, features.ids_b, b.model().features());
  comparison.b_from_a =
      named(feature_arithmetic(of_b, of_a, settings), features.ids_b, features.ids_a, a.model().features());
}

nlohmann::json to_json(const RunComparison& comparison) {
  nlohmann::json object = {{"conclusions", conclusions(comparison)},
                           {"other_data", comparison.other_data},
                           {"all", to_json(comparison.all)}};
  if (comparison.alive) object["alive"] = to_json(*comparison.alive);
  if (comparison.rows) {
    object["rows"] = {{"a", to_json(comparison.rows->a)},
                      {"b", to_json(comparison.rows->b)},
                      {"losses", to_json(comparison.rows->losses)},
                      {"loss_unit", comparison.rows->unit}};
  }
  if (comparison.a_from_b) object["a_from_b"] = to_json(*comparison.a_from_b);
  if (comparison.b_from_a) object["b_from_a"] = to_json(*comparison.b_from_a);
  return object;
}

NamedTensors feature_tables(const RunComparison& comparison) {
  NamedTensors tables = feature_tables(comparison.all, "all.");
  const auto append = [&](NamedTensors more) {
    for (auto& entry : more) tables.push_back(std::move(entry));
  };
  if (comparison.alive) append(feature_tables(*comparison.alive, "alive."));
  if (comparison.a_from_b) append(arithmetic_tables(*comparison.a_from_b, "a_from_b."));
  if (comparison.b_from_a) append(arithmetic_tables(*comparison.b_from_a, "b_from_a."));
  return tables;
}

}  // namespace regulon::core
