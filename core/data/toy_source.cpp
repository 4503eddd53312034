#include "core/data/toy_source.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <regulon/error.h>
#include <regulon/step.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "core/io/hash.h"

namespace regulon::core {
namespace {

/// Raise it when the rows that a seed gives change.
constexpr int kToyRevision = 1;

double dot(std::span<const double> a, std::span<const double> b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// Fills `row` with a random unit vector at right angles to the `above` rows of `all` before it.
void draw_unit_row(std::span<double> row, std::span<const double> all, std::size_t above,
                   RandomStream& random) {
  for (double& value : row) value = random.normal();
  // Twice, because one pass of Gram and Schmidt leaves rounding errors of the size of the part taken out.
  for (int pass = 0; pass < 2; ++pass) {
    for (std::size_t other = 0; other < above; ++other) {
      const auto direction = all.subspan(other * row.size(), row.size());
      const double along = dot(row, direction);
      for (std::size_t i = 0; i < row.size(); ++i) row[i] -= along * direction[i];
    }
  }
  const double norm = std::sqrt(dot(row, row));
  for (double& value : row) value /= norm;
}

at::Tensor draw_features(const std::string& kind, std::int64_t count, std::int64_t width,
                         RandomStream& random) {
  const auto n = static_cast<std::size_t>(count);
  const auto d = static_cast<std::size_t>(width);
  std::vector<double> values(n * d, 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    if (kind == "axes") {
      values[i * d + i] = 1.0;
    } else {
      draw_unit_row(std::span(values).subspan(i * d, d), values, kind == "orthonormal" ? i : 0, random);
    }
  }
  at::Tensor features = at::empty({count, width}, at::kFloat);
  float* const out = features.mutable_data_ptr<float>();
  for (std::size_t i = 0; i < values.size(); ++i) out[i] = static_cast<float>(values[i]);
  return features;
}

RandomStream stream_of(std::uint64_t seed, const std::string& name) {
  return RandomStream(named_generator(seed, name).current_seed());
}

}  // namespace

const std::vector<std::string>& direction_kinds() {
  static const std::vector<std::string> kinds = {"orthonormal", "axes", "random"};
  return kinds;
}

void ToySource::open(const SourceSetup& setup) {
  seed_ = setup.seed;
  batch_rows_ = setup.batch;
  RandomStream tables = stream_of(seed_, "toy.tables");
  layout_ = prepare_toy(tables);
  if (layout_.directions != "random" && layout_.width < layout_.features) {
    throw InputError(
        {"[data]", "the true features do not fit into the width",
         "width >= " + std::to_string(layout_.features) + " for directions = \"" + layout_.directions + "\"",
         "width = " + std::to_string(layout_.width), "Raise width or use directions = \"random\"."});
  }
  RandomStream directions = stream_of(seed_, "toy.features");
  features_ = draw_features(layout_.directions, layout_.features, layout_.width, directions);
  training_stream_ = stream_of(seed_, "toy.training").next();
  held_out_stream_ = stream_of(seed_, "toy.held_out").next();
}

at::Tensor ToySource::batch(std::int64_t step) {
  return rows(training_stream_, step * batch_rows_, batch_rows_);
}

at::Tensor ToySource::held_out(std::int64_t first, std::int64_t count) {
  return rows(held_out_stream_, first, count);
}

at::Tensor ToySource::rows(std::uint64_t stream, std::int64_t first, std::int64_t count) const {
  const std::int64_t d = layout_.width;
  at::Tensor result = at::zeros({count, d}, at::kFloat);
  float* const out = result.mutable_data_ptr<float>();
  const float* const directions = features_.const_data_ptr<float>();
  // Small toys are drawn sooner than a second thread is woken.
  constexpr std::int64_t kWorthAThread = 1 << 18;
  const std::int64_t grain = std::max<std::int64_t>(1, kWorthAThread / (layout_.features + d));
  at::parallel_for(0, count, grain, [&](std::int64_t begin, std::int64_t end) {
    std::vector<Active> active;
    for (std::int64_t row = begin; row < end; ++row) {
      RandomStream random(mix_seed(stream, static_cast<std::uint64_t>(first + row)));
      active.clear();
      draw(random, active);
      float* const target = out + row * d;
      for (const Active& one : active) {
        const float* const direction = directions + one.feature * d;
        for (std::int64_t i = 0; i < d; ++i) target[i] += one.magnitude * direction[i];
      }
    }
  });
  return result;
}

std::optional<Codes> ToySource::held_out_truth(std::int64_t first, std::int64_t count) {
  std::vector<std::int64_t> offsets = {0};
  std::vector<std::int32_t> ids;
  std::vector<float> values;
  std::vector<Active> active;
  for (std::int64_t row = first; row < first + count; ++row) {
    RandomStream random(mix_seed(held_out_stream_, static_cast<std::uint64_t>(row)));
    active.clear();
    draw(random, active);
    std::sort(active.begin(), active.end(),
              [](const Active& a, const Active& b) { return a.feature < b.feature; });
    for (const Active& one : active) {
      ids.push_back(static_cast<std::int32_t>(one.feature));
      values.push_back(one.magnitude);
    }
    offsets.push_back(static_cast<std::int64_t>(ids.size()));
  }
  return Codes::sparse(layout_.features, at::tensor(offsets, at::kLong), at::tensor(ids, at::kInt),
                       at::tensor(values, at::kFloat));
}

std::string ToySource::fingerprint() const {
  return hash_text("toy/" + std::to_string(kToyRevision) + " seed=" + std::to_string(seed_) + " " +
                   settings());
}

}  // namespace regulon::core
