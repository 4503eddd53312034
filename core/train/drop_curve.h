#pragma once
/// What a reconstruction loses when codes are left out of it, as a curve.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/train/run.h"

namespace regulon::core {

/// Ways to leave codes out: "weakest" (the k weakest of each row), "frequent" (the features that are active
/// most often on these rows).
const std::vector<std::string>& drop_kinds();

/// One point of the curve.
struct DropPoint {
  std::int64_t dropped = 0;  ///< codes of each row, or features
  double share = 0;          ///< features: of all
  double fvu = 0;
  double l0 = 0;             ///< what is left
  double relative_bias = 0;  ///< as in Evaluation
};

/// Another run on the same rows, such as one with a higher sparsity weight.
struct DropRival {
  std::string run;
  double fvu = 0;
  double l0 = 0;
  std::optional<double>
      curve_fvu;            ///< what the curve has at that L0, between its points; none beyond its ends
  bool other_data = false;  ///< whether it was trained on other data than the curve's run
};

struct DropCurve {
  std::string kind;
  std::int64_t rows = 0;
  std::vector<DropPoint> points;  ///< nothing dropped first; the last may have nothing left
  std::vector<DropRival> rivals;
};

/// The curve on at most `rows` held-out rows of `source`: 0, 1, 2, 3, 4, 6, 8, 12, 16, 24, … weakest codes,
/// until none is left; or a share of 0, 0.1%, 0.5%, 1%, 2%, 5%, 10%, 20% and 50% of the features. All else
/// stays as it is: the other codes are not encoded anew. Throws InputError for another kind, or without rows.
DropCurve drop_curve(Run& run, Source& source, std::int64_t rows, const std::string& kind);

/// Adds another run than the curve's `own`, measured on the curve's rows of `source`. Throws InputError if
/// its width differs.
void add_rival(DropCurve& curve, const Run& own, Run& rival, Source& source);

nlohmann::json to_json(const DropCurve& curve);

}  // namespace regulon::core
