#include "core/train/drop_curve.h"

#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <regulon/error.h>
#include <regulon/ops.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "core/measure/drop.h"
#include "core/train/compare.h"

namespace regulon::core {
namespace {

constexpr double kDroppedShares[] = {0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5};

/// 1, 2, 3, 4, 6, 8, 12, 16, 24, …
std::int64_t next_count(std::int64_t k) {
  if (k < 4) return k + 1;
  const bool power_of_two = (k & (k - 1)) == 0;
  return power_of_two ? k + k / 2 : k / 3 * 4;
}

/// Leaves out as much as a point of the curve says.
using Drop = std::function<Codes(const Codes&, const DropPoint&)>;

class Dropping {
 public:
  Dropping(Run& run, Source& source, std::int64_t rows)
      : run_(run), source_(source), rows_(rows), dictionary_(run.model().dictionary().detach()) {}

  void weakest(DropCurve& curve) const {
    const std::int64_t most = most_codes();
    for (std::int64_t k = 0;; k = next_count(k)) {
      curve.points.push_back({k, 0, 0, 0, 0});
      if (k >= most) break;
    }
    const at::Tensor norms = dictionary_.norms();
    measure(curve, [&](const Codes& codes, const DropPoint& point) {
      return drop_weakest(codes, norms, point.dropped);
    });
    const auto empty = std::find_if(curve.points.begin(), curve.points.end(),
                                    [](const DropPoint& point) { return point.l0 == 0; });
    if (empty != curve.points.end()) curve.points.erase(empty + 1, curve.points.end());
  }

  void frequent(DropCurve& curve) const {
    const std::int64_t n = run_.model().features();
    for (const double share : kDroppedShares) {
      const std::int64_t nearest = std::llround(share * static_cast<double>(n));
      const std::int64_t dropped = share > 0 ? std::max<std::int64_t>(1, nearest) : 0;
      if (curve.points.empty() || dropped > curve.points.back().dropped) {
        curve.points.push_back({dropped, static_cast<double>(dropped) / static_cast<double>(n), 0, 0, 0});
      }
    }
    const at::Tensor order = frequency().argsort(/*stable=*/true, 0, /*descending=*/true);
    measure(curve, [&](const Codes& codes, const DropPoint& point) {
      at::Tensor goes = at::zeros({n}, at::kBool);
      goes.index_fill_(0, order.narrow(0, 0, point.dropped), true);
      return drop_features(codes, goes);
    });
  }

 private:
  /// Calls `use(rows as the model sees them, codes)`, batch by batch.
  template <class Use>
  void for_batches(Use use) const {
    for (std::int64_t first = 0; first < rows_; first += kEvaluationBatch) {
      const at::Tensor stored = source_.held_out(first, std::min(kEvaluationBatch, rows_ - first));
      use(run_.normalisation().apply(stored), run_.encode(stored).detach());
    }
  }

  /// The longest row of codes.
  std::int64_t most_codes() const {
    std::int64_t most = 0;
    for_batches([&](const at::Tensor&, const Codes& codes) {
      most = std::max(most, codes.row_offsets().diff().max().item<std::int64_t>());
    });
    return most;
  }

  Evaluator evaluator() const {
    return {run_.model().features(), run_.model().width(), run_.normalisation()};
  }

  at::Tensor frequency() const {
    Evaluator counts = evaluator();
    for_batches([&](const at::Tensor& rows, const Codes& codes) { counts.add(rows, codes, rows); });
    return counts.result().frequency;
  }

  void measure(DropCurve& curve, const Drop& drop) const {
    std::vector<Evaluator> evaluators;
    for (std::size_t i = 0; i < curve.points.size(); ++i) evaluators.push_back(evaluator());
    for_batches([&](const at::Tensor& rows, const Codes& codes) {
      for (std::size_t i = 0; i < curve.points.size(); ++i) {
        const Codes left = drop(codes, curve.points[i]);
        evaluators[i].add(rows, left, ops::decode(left, dictionary_));
      }
    });
    for (std::size_t i = 0; i < curve.points.size(); ++i) {
      const Evaluation found = evaluators[i].result();
      curve.points[i].fvu = found.fvu;
      curve.points[i].l0 = found.l0;
      curve.points[i].relative_bias = found.relative_bias;
    }
  }

  Run& run_;
  Source& source_;
  std::int64_t rows_;
  Dictionary dictionary_;
};

/// The curve's FVU at `l0`, linear between the two points around it.
std::optional<double> fvu_at(const DropCurve& curve, double l0) {
  for (std::size_t i = 1; i < curve.points.size(); ++i) {
    const DropPoint& more = curve.points[i - 1];
    const DropPoint& less = curve.points[i];
    if (l0 > more.l0 || l0 < less.l0 || more.l0 == less.l0) continue;
    return less.fvu + (more.fvu - less.fvu) * (l0 - less.l0) / (more.l0 - less.l0);
  }
  return std::nullopt;
}

}  // namespace

const std::vector<std::string>& drop_kinds() {
  static const std::vector<std::string> kinds = {"weakest", "frequent"};
  return kinds;
}

DropCurve drop_curve(Run& run, Source& source, std::int64_t rows, const std::string& kind) {
  const at::NoGradGuard no_grad;
  const auto& kinds = drop_kinds();
  if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) {
    throw InputError({"--drop", "'" + kind + "' is no way to leave codes out",
                      fmt::format("{}", fmt::join(kinds, " or ")), kind, did_you_mean(kind, kinds)});
  }
  run.require_width(source.width());
  DropCurve curve;
  curve.kind = kind;
  curve.rows = std::min(rows, source.held_out_rows());
  if (curve.rows == 0) {
    throw InputError({"data", "no rows are held out", "rows to measure on", "none",
                      "name files: `regulon eval RUN --data GLOB`"});
  }
  const Dropping dropping(run, source, curve.rows);
  kind == "weakest" ? dropping.weakest(curve) : dropping.frequent(curve);
  return curve;
}

void add_rival(DropCurve& curve, const Run& own, Run& rival, Source& source) {
  const Evaluation found = rival.evaluate(source, curve.rows).held_out;
  curve.rivals.push_back(
      {rival.folder().string(), found.fvu, found.l0, fvu_at(curve, found.l0), have_other_data(own, rival)});
}

nlohmann::json to_json(const DropCurve& curve) {
  nlohmann::json points = nlohmann::json::array();
  for (const DropPoint& point : curve.points) {
    nlohmann::json object = {{"dropped", point.dropped},
                             {"fvu", point.fvu},
                             {"l0", point.l0},
                             {"relative_bias", point.relative_bias}};
    if (curve.kind == "frequent") object["share"] = point.share;
    points.push_back(std::move(object));
  }
  nlohmann::json rivals = nlohmann::json::array();
  for (const DropRival& rival : curve.rivals) {
    rivals.push_back({{"run", rival.run},
                      {"fvu", rival.fvu},
                      {"l0", rival.l0},
                      {"other_data", rival.other_data},
                      {"curve_fvu", rival.curve_fvu ? nlohmann::json(*rival.curve_fvu) : nlohmann::json()}});
  }
  return {{"drop", curve.kind}, {"rows", curve.rows}, {"points", points}, {"beside", rivals}};
}

}  // namespace regulon::core
