#include "core/measure/firing.h"

#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <regulon/ops.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

namespace regulon::core {
namespace {

/// Zero where nothing is divided by nothing.
at::Tensor ratio(const at::Tensor& part, const at::Tensor& whole) { return (part / whole).nan_to_num(0); }

/// Of a row's entries, those above zero.
template <class Use>
void for_active(const Codes& codes, const at::Tensor& values, std::int64_t row, Use use) {
  const auto* const offsets = codes.row_offsets().const_data_ptr<std::int64_t>();
  const auto* const ids = codes.feature_ids().const_data_ptr<std::int32_t>();
  const auto* const value = values.const_data_ptr<float>();
  for (std::int64_t entry = offsets[row]; entry < offsets[row + 1]; ++entry)
    if (value[entry] > 0) use(static_cast<std::int64_t>(ids[entry]));
}

}  // namespace

FiringCollector::FiringCollector(const at::Tensor& matched, std::int64_t truths)
    : matched_(matched.contiguous()),
      both_(at::zeros({matched.size(0)}, at::kLong)),
      active_(at::zeros({matched.size(0)}, at::kLong)),
      true_active_(at::zeros({truths}, at::kLong)) {}

void FiringCollector::add(const Codes& codes, const Codes& truth) {
  const at::NoGradGuard no_grad;
  const at::Tensor values = codes.values().detach().to(at::kFloat).contiguous();
  const at::Tensor true_values = truth.values().detach().to(at::kFloat).contiguous();
  const auto* const matched = matched_.const_data_ptr<std::int64_t>();
  auto* const both = both_.mutable_data_ptr<std::int64_t>();
  std::vector<bool> is_active(static_cast<std::size_t>(true_active_.size(0)));
  const auto mark = [&](std::int64_t row, bool on) {
    for_active(truth, true_values, row,
               [&](std::int64_t id) { is_active[static_cast<std::size_t>(id)] = on; });
  };
  for (std::int64_t row = 0; row < codes.rows(); ++row) {
    mark(row, true);
    for_active(codes, values, row, [&](std::int64_t id) {
      both[id] += is_active[static_cast<std::size_t>(matched[id])] ? 1 : 0;
    });
    mark(row, false);
  }
  active_ += ops::feature_counts(codes);
  true_active_ += ops::feature_counts(truth);
  rows_ += codes.rows();
}

Firing FiringCollector::result() const {
  Firing firing;
  const auto rows = static_cast<double>(std::max<std::int64_t>(rows_, 1));
  const at::Tensor both = both_.to(at::kDouble);
  const at::Tensor active = active_.to(at::kDouble);
  const at::Tensor wanted = true_active_.index({matched_}).to(at::kDouble);
  firing.matched = matched_;
  firing.precisions = ratio(both, active);
  firing.recalls = ratio(both, wanted);
  firing.f1s = ratio(2 * firing.precisions * firing.recalls, firing.precisions + firing.recalls);
  firing.precision = firing.precisions.mean().item<double>();
  firing.recall = firing.recalls.mean().item<double>();
  firing.f1 = firing.f1s.mean().item<double>();
  firing.accuracy = 1 - ((active + wanted - 2 * both) / rows).mean().item<double>();
  firing.true_l0 = true_active_.sum().item<double>() / rows;
  return firing;
}

nlohmann::json to_json(const Firing& firing) {
  return {{"precision", firing.precision},
          {"recall", firing.recall},
          {"f1", firing.f1},
          {"accuracy", firing.accuracy},
          {"true_l0", firing.true_l0}};
}

NamedTensors firing_table(const Firing& firing) {
  return {{"known.precision", firing.precisions}, {"known.recall", firing.recalls}, {"known.f1", firing.f1s}};
}

}  // namespace regulon::core
