#pragma once
/// Sizes of the cosines of rows of norm one, as the definition has them.

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernel_table.h"
#include "ops/support.h"

namespace regulon::ops::detail {

template <typename T>
class RowSizes {
 public:
  /// `rows` [n, d], contiguous, have to outlive this; sizes are |cos|, or cos.
  RowSizes(const at::Tensor& rows, bool absolute)
      : data_(rows.const_data_ptr<T>()), n_(rows.size(0)), d_(rows.size(1)), absolute_(absolute) {}

  std::int64_t rows() const { return n_; }
  std::int64_t width() const { return d_; }
  bool absolute() const { return absolute_; }
  bool is_zero(std::int64_t row) const {
    return std::all_of(data_ + row * d_, data_ + (row + 1) * d_, [](T x) { return x == 0; });
  }

  /// Of the row with `count` others. Throws RunError where a row cannot be of unit length.
  void of(std::int64_t row, const std::int32_t* others, std::int64_t count, T* out) const {
    best_kernels<T>().gather_dot(data_ + row * d_, data_, d_, others, count, out);
    for (std::int64_t i = 0; i < count; ++i) {
      if (absolute_) out[i] = std::fabs(out[i]);
      if (!(std::fabs(out[i]) < kMostCosine)) refuse();  // what is not a number could not be ranked
    }
  }

  /// Whether a row and `other`, whose cosine has `size`, are neighbours: rows of zeros have none, and what
  /// is of size zero is not near by |cos|.
  bool are_neighbours(std::int32_t other, T size) const {
    return size != 0 || (!absolute_ && !is_zero(other));
  }

  [[noreturn]] static void refuse() {
    fail("NeighbourLists::nearest", "the rows are not of unit length", "rows of norm one, or zero",
         "a number that is not finite, or a far longer row");
  }

 private:
  static constexpr T kMostCosine = T(1e12);  ///< of rows that are taken for ones of unit length

  const T* data_;
  std::int64_t n_;
  std::int64_t d_;
  bool absolute_;
};

}  // namespace regulon::ops::detail
