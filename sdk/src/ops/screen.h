#pragma once
/// Screening: a quick product that knows how wrong it can be, and the exact values of what passes.

#include <ATen/core/Tensor.h>
#include <regulon/selection.h>

#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "kernel_table.h"

namespace regulon::ops::detail {

/// What is multiplied and how it is scored, for the features that may be listed. All contiguous, of one
/// dtype, without gradient; z = rows · weightᵀ + bias and score = (z - shift) * scale.
struct Operands {
  at::Tensor rows;               ///< [B, d], center subtracted
  at::Tensor weight;             ///< [m, d]
  at::Tensor bias;               ///< [m] or undefined
  at::Tensor shift;              ///< [m] or undefined
  at::Tensor scale;              ///< [m] or undefined
  SelectTimes* times = nullptr;  ///< null: nobody measures
};

/// How far a product may be from the dot product as defined: by row[0] * feature[0] + row[1] * feature[1].
/// Factors by row and by feature, each rounded up, without what underflow adds.
struct ProductErrors {
  std::vector<double> row[2];
  std::vector<double> feature[2];
};

/// A product of the operands in some precision, with a rigorous bound of the error of each of its elements.
/// Subclasses say how the product is made and how far off it is.
template <typename T>
class Screen {
 public:
  /// Throws RunError if an operand holds a number that is not finite.
  explicit Screen(Operands operands);
  virtual ~Screen() = default;
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  std::int64_t rows() const { return rows_; }          ///< B
  std::int64_t features() const { return features_; }  ///< m
  std::int64_t width() const { return width_; }        ///< d
  const Operands& operands() const { return operands_; }

  /// Rows [row, row + r) times features [feature, feature + c) into `out` [r, c], contiguous; `feature` is a
  /// multiple of 32. Any thread may call it.
  virtual void product(std::int64_t row, std::int64_t feature, at::Tensor& out) const = 0;

  /// Whether the row's products could leave the range of T, so that the bounds say nothing: all of its
  /// features are candidates then.
  bool is_wild(std::int64_t row) const { return wild_[static_cast<std::size_t>(row)] != 0; }
  bool any_wild() const { return any_wild_; }

  /// The largest of both factors of the error, over features [feature, feature + count).
  std::array<T, 2> tile_error(std::int64_t feature, std::int64_t count) const;
  /// One row of a tile as the kernels read it; `cuts` [m, padded as the screen's own arrays] or null.
  ScreenedRow<T> row_of_tile(std::int64_t row, std::int64_t feature, std::int64_t count, const T* product,
                             const std::array<T, 2>& tile_error, const T* cuts) const;

  /// Bounds of the scores of one row's features.
  class RowBounds {
   public:
    RowBounds(const Screen& screen, std::int64_t row);
    /// The lowest number where z might not be above zero.
    T certain_low(std::int32_t feature, T product) const {
      if (wild_) return std::numeric_limits<T>::lowest();
      const T z = product + (low_[feature] - error(feature));
      return z > 0 ? screen_.score(feature, z) : std::numeric_limits<T>::lowest();
    }
    T high(std::int32_t feature, T product) const {
      if (wild_) return std::numeric_limits<T>::infinity();
      return screen_.score(feature, product + (high_[feature] + error(feature)));
    }

   private:
    T error(std::int32_t feature) const {
      return factor_[0] * error_[0][feature] + factor_[1] * error_[1][feature];
    }

    const Screen& screen_;
    bool wild_;
    T factor_[2];
    const T* error_[2];
    const T* low_;
    const T* high_;
  };

  /// The score of z as defined.
  T score(std::int64_t feature, T z) const {
    if (shift_ != nullptr) z = z - shift_[feature];
    return scale_ == nullptr ? z : z * scale_[feature];
  }

  /// z as defined, for features of a run of rows: those of row `row` + i are `features` from offsets[i] up to
  /// offsets[i + 1]. Throws RunError if one is not finite.
  std::vector<T> exact(std::int64_t row, const std::vector<std::int64_t>& offsets,
                       const std::vector<std::int32_t>& features) const;

 protected:
  /// Euclidean norms, rounded up.
  const std::vector<double>& row_norms() const { return row_norms_; }
  const std::vector<double>& feature_norms() const { return feature_norms_; }
  /// What a subclass adds to its product's own error, times both norms: the rounding of the definition and of
  /// the bounds themselves.
  double definition_error() const;
  /// The relative error, times both norms, of a sum of d products in T in whatever order.
  double summation_error() const;
  /// To be called by the subclass, once.
  void set_errors(const ProductErrors& errors);

 private:
  void find_wild_rows(double largest_feature, double largest_bias);

  Operands operands_;
  std::int64_t rows_;
  std::int64_t features_;
  std::int64_t width_;
  const T* bias_;
  const T* shift_;
  const T* scale_;
  std::vector<double> row_norms_;
  std::vector<double> feature_norms_;
  std::vector<char> wild_;
  bool any_wild_ = false;
  std::vector<T> row_error_[2];
  // By feature, padded by a vector of features that are never found.
  std::vector<T> error_[2];
  std::vector<T> bias_high_;
  std::vector<T> bias_low_;
  std::vector<T> bias_exact_;
  std::vector<T> padded_shift_;
  std::vector<T> padded_scale_;
};

/// The product in T itself, by the BLAS.
template <typename T>
class FullScreen final : public Screen<T> {
 public:
  explicit FullScreen(Operands operands);
  void product(std::int64_t row, std::int64_t feature, at::Tensor& out) const override;

 private:
  at::Tensor transposed_;
};

/// The product of the operands rounded to bfloat16: half the work where the processor multiplies these.
/// |x·w - x'·w'| <= |x - x'| |w| + |x'| |w - w'|, with norms as they are and not as they might be.
class HalfScreen final : public Screen<float> {
 public:
  HalfScreen(Operands operands, const HalfKernels& kernels);
  void product(std::int64_t row, std::int64_t feature, at::Tensor& out) const override;

 private:
  const HalfKernels& kernels_;
  std::int64_t padded_width_;
  at::Tensor halves_;  ///< [B, padded width], 16 bits each
  at::Tensor groups_;  ///< [ceil(m / 32), padded width / 2, 32, 2]
};

/// `count` numbers and a vector's worth of `filler` behind them; empty for null.
template <typename T>
std::vector<T> padded(const T* numbers, std::int64_t count, T filler) {
  if (numbers == nullptr) return {};
  std::vector<T> result(numbers, numbers + count);
  result.resize(static_cast<std::size_t>(count + 16), filler);
  return result;
}

}  // namespace regulon::ops::detail
