#pragma once
/// Two runs beside each other: their dictionaries, and what they make of the same rows.

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/io/named_tensors.h"
#include "core/measure/arithmetic.h"
#include "core/measure/dictionary_comparison.h"
#include "core/measure/row_losses.h"
#include "core/train/run.h"

namespace regulon::core {

/// Two runs on the same rows.
struct RowComparison {
  Evaluation a;
  Evaluation b;
  /// Of |x - xhat|^2, in units of the rows' mean squared distance from their mean: the mean is the FVU.
  LossComparison losses;
  double unit = 0;  ///< that unit, of rows as stored
};

/// All that was compared.
struct RunComparison {
  /// Whether both runs have data of their own, and not the same: other files, another toy, or a toy of
  /// another seed, whose true features are others.
  bool other_data = false;
  /// Of features that are active on the rows; none without rows, or where one side has none that is.
  std::optional<DictionaryComparison> alive;
  DictionaryComparison all;
  std::optional<RowComparison> rows;
  /// Where it was asked for: features of A as sums of B's, and the other way round; of active features where
  /// `alive` is there. The numbers in it are those of features.
  std::optional<Arithmetic> a_from_b;
  std::optional<Arithmetic> b_from_a;
};

/// Adds feature arithmetic to a comparison of the two runs.
void add_arithmetic(RunComparison& comparison, Run& a, Run& b, const ArithmeticSettings& settings = {});

/// What a front end hears: the losses of the next rows, |x - xhat|^2 as stored, [B] double of each run.
using LossListener = std::function<void(const at::Tensor& a, const at::Tensor& b)>;

/// Compares the runs' dictionaries and, on at most `rows` held-out rows of `source` (null: none), their
/// reconstructions. Memory does not grow with the rows. Throws InputError where the widths of the runs or the
/// rows differ, or the source holds out no rows.
RunComparison compare_runs(Run& a, Run& b, Source* source, std::int64_t rows,
                           const ComparisonSettings& settings = {}, const LossListener& listener = {});

/// Whether two runs were trained on different data, as far as they have any and say so.
bool have_other_data(const Run& a, const Run& b);

/// What to conclude, in sentences for people: whether the two found the same features, which one rebuilds
/// better, and whether they fail on the same rows.
std::vector<std::string> conclusions(const RunComparison& comparison);

nlohmann::json to_json(const RunComparison& comparison);
/// The tables of features, under "alive." and "all.".
NamedTensors feature_tables(const RunComparison& comparison);

}  // namespace regulon::core
