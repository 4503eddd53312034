#include "core/measure/evaluation.h"

#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <regulon/ops.h>
#include <regulon/sums.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

namespace regulon::core {
namespace {

double total(const at::Tensor& tensor) { return ops::total(tensor).item<double>(); }
/// Of whole numbers or flags, which have no rounding.
double count(const at::Tensor& numbers) { return numbers.sum().item<double>(); }

/// Share of the features in each decade of frequency.
nlohmann::json frequency_shares(const at::Tensor& frequency) {
  constexpr std::array<std::pair<const char*, double>, 5> kDecades = {
      {{"below_1e-4", 1e-4}, {"below_1e-3", 1e-3}, {"below_1e-2", 1e-2}, {"below_1e-1", 1e-1}, {"above", 2}}};
  const auto features = static_cast<double>(std::max<std::int64_t>(frequency.numel(), 1));
  double so_far = count(frequency == 0);
  nlohmann::json shares = {{"unused", so_far / features}};
  for (const auto& [name, limit] : kDecades) {
    const double below = count(frequency < limit);
    shares[name] = (below - so_far) / features;
    so_far = below;
  }
  return shares;
}

}  // namespace

nlohmann::json to_json(const Evaluation& evaluation) {
  return {{"rows", evaluation.rows},
          {"fvu", evaluation.fvu},
          {"explained_variance", evaluation.explained_variance},
          {"explained_variance_legacy", evaluation.explained_variance_legacy},
          {"variance", evaluation.variance},
          {"mse", evaluation.mse},
          {"l0", evaluation.l0},
          {"l1", evaluation.l1},
          {"unused_share", evaluation.unused_share},
          {"cosine", evaluation.cosine},
          {"norm_ratio", evaluation.norm_ratio},
          {"relative_bias", evaluation.relative_bias},
          {"code_length", evaluation.code_length},
          {"frequency", frequency_shares(evaluation.frequency)}};
}

double mean_l0(const Codes& codes) {
  const double active = count(codes.values().detach() > 0);
  return active / static_cast<double>(std::max<std::int64_t>(codes.rows(), 1));
}

Evaluator::Evaluator(std::int64_t features, std::int64_t width, Normalisation normalisation)
    : normalisation_(std::move(normalisation)),
      counts_(at::zeros({features}, at::kLong)),
      row_sum_(at::zeros({width}, at::kDouble)) {}

void Evaluator::add(const at::Tensor& rows, const Codes& codes, const at::Tensor& reconstruction) {
  const at::NoGradGuard no_grad;
  const at::Tensor x = rows.to(at::kDouble);
  const at::Tensor rebuilt = reconstruction.detach().to(at::kDouble);
  const at::Tensor squared = x.square().sum(1);
  const at::Tensor rebuilt_squared = rebuilt.square().sum(1);
  const at::Tensor inner = (x * rebuilt).sum(1);
  const at::Tensor norms = (squared * rebuilt_squared).sqrt();

  rows_ += x.size(0);
  counts_ += ops::feature_counts(codes);
  row_sum_ += x.sum(0);
  squared_ += total(squared);
  error_ += total((x - rebuilt).square());
  inner_ += total(inner);
  rebuilt_ += total(rebuilt_squared);
  value_sum_ += total(codes.values().detach().to(at::kDouble));
  // A row or a reconstruction of zeros has no direction: it counts as a cosine and a ratio of zero.
  cosine_ += total((inner / norms).nan_to_num(0, 0, 0));
  norm_ratio_ += total((rebuilt_squared / squared).nan_to_num(0, 0, 0).sqrt());
}

/// Of rows as stored, x / scale + mean.
double Evaluator::legacy_variance() const {
  const double scale = normalisation_.scale;
  const auto rows = static_cast<double>(std::max<std::int64_t>(rows_, 1));
  at::Tensor mean_row = row_sum_ / (rows * scale);
  double mean_square = squared_ / (rows * scale * scale);
  if (normalisation_.mean.defined()) {
    const at::Tensor taken_off = normalisation_.mean.to(at::kDouble);
    mean_square += total(taken_off * (2 * mean_row + taken_off));
    mean_row = mean_row + taken_off;
  }
  const double mean_entry = mean_row.mean().item<double>();
  return mean_square - mean_entry * mean_entry;
}

Evaluation Evaluator::result() const {
  Evaluation result;
  result.rows = rows_;
  const auto rows = static_cast<double>(std::max<std::int64_t>(rows_, 1));
  const double spread = squared_ - total(row_sum_.square()) / rows;
  result.fvu = spread > 0 ? error_ / spread : 0;
  result.explained_variance = spread > 0 ? 1 - result.fvu : 0;
  const double scale = normalisation_.scale;
  result.variance = std::max(0.0, spread) / (rows * scale * scale);
  const double legacy = legacy_variance();
  result.explained_variance_legacy = legacy > 0 ? 1 - error_ / (rows * scale * scale) / legacy : 0;
  result.mse = error_ / rows;
  result.l0 = count(counts_) / rows;
  result.l1 = value_sum_ / rows;
  result.unused_share = count(counts_ == 0) / static_cast<double>(std::max<std::int64_t>(counts_.numel(), 1));
  result.cosine = cosine_ / rows;
  result.norm_ratio = norm_ratio_ / rows;
  result.relative_bias = inner_ != 0 ? rebuilt_ / inner_ : 0;
  result.frequency = counts_.to(at::kDouble) / rows;
  result.code_length = -total((result.frequency * result.frequency.log()).nan_to_num(0));
  return result;
}

}  // namespace regulon::core
