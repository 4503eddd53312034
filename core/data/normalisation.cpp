#include "core/data/normalisation.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/scalar_tensor.h>
#include <regulon/error.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace regulon::core {
namespace {

constexpr std::int64_t kSampleRows = 16384;
constexpr char kScaleName[] = "normalisation.scale";
constexpr char kMeanName[] = "normalisation.mean";

/// Rows of the sample, batch by batch: {rows of this batch that count, its tensor}.
std::vector<at::Tensor> sample_of(Source& source) {
  const std::int64_t pass = source.training_rows();
  std::int64_t missing = pass > 0 ? std::min(pass, kSampleRows) : kSampleRows;
  std::vector<at::Tensor> parts;
  for (std::int64_t step = 0; missing > 0; ++step) {
    const at::Tensor rows = source.batch(step);
    parts.push_back(rows.narrow(0, 0, std::min(missing, rows.size(0))).contiguous());
    missing -= rows.size(0);
  }
  return parts;
}

/// Calls `see` with a pointer to each row. One after the other, so that sums do not depend on the threads.
template <class See>
std::int64_t for_each_row(const std::vector<at::Tensor>& parts, See see) {
  std::int64_t count = 0;
  for (const at::Tensor& part : parts) {
    const float* const values = part.const_data_ptr<float>();
    for (std::int64_t row = 0; row < part.size(0); ++row, ++count) see(values + row * part.size(1));
  }
  return count;
}

std::vector<double> mean_row(const std::vector<at::Tensor>& parts, std::size_t width) {
  std::vector<double> mean(width, 0.0);
  const std::int64_t count = for_each_row(parts, [&](const float* row) {
    for (std::size_t i = 0; i < width; ++i) mean[i] += static_cast<double>(row[i]);
  });
  for (double& value : mean) value /= static_cast<double>(count);
  return mean;
}

double mean_norm(const std::vector<at::Tensor>& parts, const std::vector<double>& mean) {
  double sum = 0.0;
  const std::int64_t count = for_each_row(parts, [&](const float* row) {
    double squared = 0.0;
    for (std::size_t i = 0; i < mean.size(); ++i) {
      const double value = static_cast<double>(row[i]) - mean[i];
      squared += value * value;
    }
    sum += std::sqrt(squared);
  });
  return sum / static_cast<double>(count);
}

}  // namespace

at::Tensor Normalisation::apply(const at::Tensor& rows) const {
  const at::Tensor centred = mean.defined() ? rows.sub(mean.to(rows.options())) : rows;
  return scale == 1.0 ? centred : centred.mul(scale);
}

at::Tensor Normalisation::invert(const at::Tensor& rows) const {
  const at::Tensor centred = scale == 1.0 ? rows : rows.div(scale);
  return mean.defined() ? centred.add(mean.to(rows.options())) : centred;
}

NamedTensors Normalisation::tensors() const {
  NamedTensors tensors = {{kScaleName, at::scalar_tensor(scale, at::kDouble)}};
  if (mean.defined()) tensors.emplace_back(kMeanName, mean);
  return tensors;
}

Normalisation Normalisation::from_tensors(const NamedTensors& tensors, const std::string& origin) {
  const at::Tensor scale = find_tensor(tensors, kScaleName);
  const at::Tensor mean = find_tensor(tensors, kMeanName);
  const bool scale_fits = scale.defined() && scale.dim() == 0 && scale.scalar_type() == at::kDouble;
  const bool mean_fits = !mean.defined() || (mean.dim() == 1 && mean.scalar_type() == at::kFloat);
  Normalisation normalisation;
  if (scale_fits) normalisation.scale = scale.item<double>();
  if (!scale_fits || !mean_fits || !(normalisation.scale > 0) || !std::isfinite(normalisation.scale)) {
    throw InputError({origin, "has no usable normalisation",
                      "normalisation.scale [] F64 above 0, normalisation.mean [d] F32", "",
                      "The file is damaged, or not the weights of a run."});
  }
  if (mean.defined()) normalisation.mean = mean.clone();  // not tied to the file
  return normalisation;
}

Normalisation estimate_normalisation(Source& source, const std::string& kind) {
  Normalisation normalisation;
  if (kind == "none") return normalisation;
  const std::vector<at::Tensor> parts = sample_of(source);
  std::vector<double> mean(static_cast<std::size_t>(source.width()), 0.0);
  if (kind == "center") {
    mean = mean_row(parts, mean.size());
    normalisation.mean = at::empty({source.width()}, at::kFloat);
    float* const out = normalisation.mean.mutable_data_ptr<float>();
    // Rounded at once, so that the scale fits the mean that will be subtracted.
    for (std::size_t i = 0; i < mean.size(); ++i)
      mean[i] = static_cast<double>(out[i] = static_cast<float>(mean[i]));
  }
  normalisation.scale = std::sqrt(static_cast<double>(source.width())) / mean_norm(parts, mean);
  if (!std::isfinite(normalisation.scale)) {
    throw InputError({"[data]", "the rows cannot be normalised by '" + kind + "'",
                      "rows of different, finite values", "rows whose mean norm is zero or too large",
                      "Use normalise = \"none\" or other data."});
  }
  return normalisation;
}

}  // namespace regulon::core
