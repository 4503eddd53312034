#include "core/train/adam_kernel.h"

#include <algorithm>
#include <array>
#include <cmath>

// One definition, several instruction sets; the loader picks. The sums run in 16 interleaved lanes whatever
// the vector width.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define REGULON_ROW_KERNEL __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define REGULON_ROW_KERNEL
#endif

namespace regulon::core {
namespace {

constexpr std::int64_t kLanes = 16;

inline __attribute__((always_inline)) float fold(const std::array<float, kLanes>& lanes) {
  std::array<float, kLanes> sums = lanes;
  for (std::int64_t width = kLanes / 2; width > 0; width /= 2) {
    for (std::int64_t lane = 0; lane < width; ++lane) sums[lane] += sums[lane + width];
  }
  return sums[0];
}

inline __attribute__((always_inline)) float dot(const float* a, const float* b, std::int64_t size) {
  std::array<float, kLanes> lanes{};
  std::int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += a[i + lane] * b[i + lane];
  }
  for (std::int64_t lane = 0; i + lane < size; ++lane) lanes[lane] += a[i + lane] * b[i + lane];
  return fold(lanes);
}

}  // namespace

REGULON_ROW_KERNEL
bool adam_row(float* __restrict weight, const float* __restrict gradient, float* __restrict first,
              float* __restrict second, std::int64_t size, const AdamConstants& constants) {
  const AdamConstants c = constants;
  if (!std::isfinite(dot(gradient, gradient, size))) return false;
  const float along = c.remove_parallel ? dot(gradient, weight, size) : 0.0F;
  for (std::int64_t i = 0; i < size; ++i) {
    const float g = (gradient[i] - along * weight[i]) * c.gradient_scale;
    first[i] += c.first_rest * (g - first[i]);
    second[i] = c.beta2 * second[i] + c.second_rest * g * g;
    weight[i] -= c.step_size * first[i] / (std::sqrt(second[i]) * c.second_scale + c.epsilon);
  }
  if (!c.unit_rows) return true;
  const float norm = std::sqrt(dot(weight, weight, size));
  if (norm == 0.0F) return true;  // a row of zeros has no direction to keep
  const float scale = 1.0F / norm;
  for (std::int64_t i = 0; i < size; ++i) weight[i] *= scale;
  return true;
}

REGULON_ROW_KERNEL
double squared_gradient_row(const float* weight, const float* gradient, std::int64_t size,
                            bool remove_parallel) {
  const auto whole = static_cast<double>(dot(gradient, gradient, size));
  if (!remove_parallel) return whole;
  const auto along = static_cast<double>(dot(gradient, weight, size));
  return std::max(0.0, whole - along * along);
}

}  // namespace regulon::core
