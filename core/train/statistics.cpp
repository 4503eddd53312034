#include "core/train/statistics.h"

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <regulon/error.h>
#include <regulon/ops.h>

#include <algorithm>
#include <cmath>

namespace regulon::core {

Statistics::Statistics(std::int64_t features, std::int64_t width, double averaging)
    : averaging_(averaging),
      width_(width),
      frequency_(at::zeros({features}, at::kDouble)),
      mean_value_(at::zeros({features}, at::kDouble)),
      silent_rows_(at::zeros({features}, at::kLong)),
      counters_(at::zeros({2}, at::kLong)) {}

void Statistics::update(const Codes& codes) {
  const at::NoGradGuard no_grad;
  const auto rows = static_cast<double>(codes.rows());
  const at::Tensor counts = ops::feature_counts(codes);
  frequency_.mul_(averaging_).add_(counts, (1 - averaging_) / rows);
  mean_value_.mul_(averaging_).add_(ops::feature_sums(codes), (1 - averaging_) / rows);
  silent_rows_ = at::where(counts > 0, at::zeros_like(silent_rows_), silent_rows_ + codes.rows());
  auto* counters = counters_.mutable_data_ptr<std::int64_t>();
  counters[0] += 1;
  counters[1] += codes.rows();
}

FeatureStats Statistics::view() const {
  const auto* counters = counters_.const_data_ptr<std::int64_t>();
  const double seen = 1 - std::pow(averaging_, static_cast<double>(counters[0]));
  const double scale = seen > 0 ? 1 / seen : 0;
  FeatureStats stats;
  stats.frequency = (frequency_ * scale).to(at::kFloat);
  stats.mean_value = (mean_value_ * scale).to(at::kFloat);
  stats.silent_rows = silent_rows_;
  stats.rows_seen = counters[1];
  stats.width = width_;
  return stats;
}

double Statistics::dead_share(std::int64_t rows) const {
  return (silent_rows_ >= rows).to(at::kDouble).mean().item<double>();
}

NamedTensors Statistics::state() const {
  return {{"statistics.frequency", frequency_},
          {"statistics.mean_value", mean_value_},
          {"statistics.silent_rows", silent_rows_},
          {"statistics.counters", counters_}};
}

void Statistics::load(const NamedTensors& state, const std::string& origin) {
  copy_tensors(this->state(), state, origin);
}

Costs::Costs(const Config& config, const PluginHost& host)
    : choice_(config.cost), section_(config.cost_section) {
  if (choice_.descriptor == nullptr) return;
  plugin_.emplace(choice_.make(), choice_.name, host.origin(*choice_.descriptor));
}

void Costs::prepare(const Preparation& outline) {
  if (!plugin_) return;
  plugin_->prepare(outline);
  if (plugin_->preparation().parameters().empty()) return;
  throw RunError({"plugin " + choice_.plugin + " in prepare", "a feature cost cannot learn parameters",
                  "state only", "a parameter", "keep it with Preparation::state"});
}

NamedTensors Costs::state() const {
  NamedTensors all;
  if (!plugin_) return all;
  for (const auto& own : plugin_->preparation().states()) all.emplace_back("cost." + own.name, own.tensor);
  return all;
}

at::Tensor Costs::at(std::int64_t step, const FeatureStats& stats, const Dictionary& dictionary) {
  const at::NoGradGuard no_grad;
  const at::Tensor ones = at::ones({dictionary.features()}, at::kFloat);
  if (!plugin_ || stats.rows_seen == 0) return ones;
  choice_.update(plugin_->object(), step);
  at::Tensor costs = plugin_->cost(stats, dictionary.detach(), true);
  if (section_.mean_one) {
    const double mean = costs.mean().item<double>();
    if (mean > 0) costs = costs / mean;
  }
  costs = costs.clamp_min(section_.least);
  if (section_.cap > 0) costs = costs.clamp_max(section_.cap);
  if (step < section_.warm_up) {
    const double share = static_cast<double>(step) / static_cast<double>(section_.warm_up);
    costs = ones + (costs - ones) * share;
  }
  return costs;
}

}  // namespace regulon::core
