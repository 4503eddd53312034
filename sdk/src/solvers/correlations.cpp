#include "solvers/correlations.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <cmath>
#include <cstring>
#include <type_traits>

#include "grain.h"
#include "ops/half_pack.h"

namespace regulon::solvers::detail {
namespace {

/// Sums of products that no exponent is small enough for; far below anything that counts beside unit atoms.
constexpr double kUnderflow = 1e-30;

/// A bound of the relative error of a dot product of d terms in T, summed in any order, and of what the
/// definition itself rounds.
template <typename T>
double summation_error(std::int64_t d) {
  return 2.5 * static_cast<double>(d + 16) * static_cast<double>(std::numeric_limits<T>::epsilon());
}

}  // namespace

template <typename T>
Correlations<T>::Correlations(const at::Tensor& dictionary)
    : features_(dictionary.size(0)),
      width_(dictionary.size(1)),
      kernels_(best_kernels<T>()),
      unit_rows_(at::empty({features_, width_}, dictionary.options().requires_grad(false))),
      norms_(static_cast<std::size_t>(features_)) {
  const T* const from = dictionary.const_data_ptr<T>();
  T* const to = unit_rows_.template mutable_data_ptr<T>();
  at::parallel_for(0, features_, grain_for(2 * width_), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      // Scaled by the largest element, so that no square leaves the range of double.
      double largest = 0;
      for (std::int64_t j = 0; j < width_; ++j)
        largest = std::max(largest, std::fabs(static_cast<double>(from[i * width_ + j])));
      double sum = 0;
      const double by = largest > 0 ? largest : 1;
      for (std::int64_t j = 0; j < width_; ++j) {
        const double scaled = static_cast<double>(from[i * width_ + j]) / by;
        sum += scaled * scaled;
      }
      const double root = std::sqrt(sum);
      norms_[static_cast<std::size_t>(i)] = largest * root;
      for (std::int64_t j = 0; j < width_; ++j)
        to[i * width_ + j] =
            largest > 0 ? static_cast<T>(static_cast<double>(from[i * width_ + j]) / by / root) : T(0);
    }
  });
  transposed_ = unit_rows_.t();
  if constexpr (std::is_same_v<T, float>) make_halves();
}

template <typename T>
void Correlations<T>::make_halves() {
  const HalfKernels& best = half_kernels().front();
  if (!best.fast) return;
  half_ = &best;
  padded_width_ = ops::detail::half_width(width_);
  groups_ = ops::detail::empty_half_groups(features_, width_);
  const ops::detail::HalfNorms norms = ops::detail::halve_features(best, unit_rows_, groups_);
  for (const double residual : norms.residual) half_residual_ = std::max(half_residual_, residual);
}

template <typename T>
Correlations<T>::Sweep::Sweep(const Correlations& of)
    : of_(of),
      products_(static_cast<std::size_t>(kBlockRows * kTileAtoms)),
      errors_(static_cast<std::size_t>(kBlockRows)) {
  if (of.half_ != nullptr) halves_.resize(static_cast<std::size_t>(kBlockRows * of.padded_width_));
  if (of.half_ == nullptr) rows_ = at::empty({kBlockRows, of.width_}, of.unit_rows_.options());
}

template <typename T>
void Correlations<T>::Sweep::load(const std::vector<const T*>& rows) {
  const double relative = summation_error<T>(of_.width_);
  for (std::size_t row = 0; row < rows.size(); ++row) {
    double error = 0;
    if (of_.half_ == nullptr) {
      std::memcpy(rows_.template mutable_data_ptr<T>() + static_cast<std::int64_t>(row) * of_.width_,
                  rows[row], static_cast<std::size_t>(of_.width_) * sizeof(T));
      error = relative * std::sqrt(of_.kernels_.square_sum(rows[row], of_.width_));
    } else if constexpr (std::is_same_v<T, float>) {
      const HalfRow sums =
          ops::detail::halve_padded(*of_.half_, rows[row], of_.width_, of_.padded_width_,
                                    halves_.data() + static_cast<std::int64_t>(row) * of_.padded_width_);
      const double rounded = std::sqrt(sums.square);
      // |<r, w> - <r', w'>| <= |r - r'| |w| + |r'| |w - w'|, and atoms are of length one.
      error = std::sqrt(sums.residual_square) + rounded * (of_.half_residual_ + 2 * relative);
    }
    errors_[row] = static_cast<T>(error * (1 + 1e-5) + kUnderflow);
  }
}

template <typename T>
void Correlations<T>::Sweep::multiply(std::int64_t rows, std::int64_t first, std::int64_t count) {
  if (of_.half_ != nullptr) {
    if constexpr (std::is_same_v<T, float>) {
      const auto* const groups = static_cast<const std::uint16_t*>(of_.groups_.const_data_ptr());
      of_.half_->product(halves_.data(), rows, of_.padded_width_, groups + first * of_.padded_width_, count,
                         products_.data());
    }
    return;
  }
  at::Tensor out = at::from_blob(products_.data(), {rows, count}, of_.unit_rows_.options());
  ops::detail::tile_product(rows_.narrow(0, 0, rows), of_.transposed_.narrow(1, first, count), out);
}

template class Correlations<float>;
template class Correlations<double>;

}  // namespace regulon::solvers::detail
