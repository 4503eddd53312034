#pragma once
/// The inner loops of the SDK's operations, compiled once per instruction set and chosen when the program
/// runs. Every copy gives the same bits where it says so. Nothing here knows of tensors.

#include <cstdint>
#include <vector>

namespace regulon {

/// One row's worth of a screened tile. The arrays by feature have room for a whole vector behind `count`:
/// there, bias_high and bias_low are minus infinity.
template <typename T>
struct ScreenedRow {
  const T* product = nullptr;    ///< [count]
  std::int64_t count = 0;        ///< features in the tile
  T error = 0;                   ///< no product of the tile is further off than this
  const T* bias_high = nullptr;  ///< [count]: bias plus its rounding
  const T* bias_low = nullptr;   ///< [count]: bias less its rounding
  const T* shift = nullptr;      ///< [count]: score = (z - shift) * scale; null: none
  const T* scale = nullptr;      ///< [count]; null: none
  const T* cut = nullptr;        ///< [count]: per-feature cut of the score; null: the same for all
};

/// What rounding a row to bfloat16 made of it; in double, not bound to an order.
struct HalfRow {
  double square = 0;           ///< sum of squares of the rounded numbers
  double residual_square = 0;  ///< sum of squares of what the rounding took away
};

/// bfloat16 numbers, as their 16 bits: what screens multiply with. Features are packed in groups of 32, of
/// each pair of elements [d / 2] the 32 features' pairs: [d / 2, 32, 2]. d is even.
struct HalfKernels {
  bool fast = false;  ///< the processor multiplies them quicker than float

  /// Rounds `row` [d], whose numbers are finite, to the nearest bfloat16, ties to even.
  HalfRow (*halve)(const float* row, std::int64_t d, std::uint16_t* half) = nullptr;
  /// out [count, columns] = rows [count, d] times the first `columns` features of `groups`. The sums are in
  /// float, in any order; numbers too small for a normal float may count as zero.
  void (*product)(const std::uint16_t* rows, std::int64_t count, std::int64_t d, const std::uint16_t* groups,
                  std::int64_t columns, float* out) = nullptr;
};

/// Inner loops over T, float or double. Sums over d are in a fixed order, the same for every instruction set.
template <typename T>
struct KernelTable {
  const char* name = "";  ///< instruction set

  /// out[i] = dot(row, matrix[ids[i]]) for i < count; `matrix` has rows of d. A dot product is defined as 16
  /// interleaved partial sums (sum j takes the elements j, j + 16, …, by fused multiply-add), added by
  /// halves: j with j + 8, then + 4, + 2, + 1.
  void (*gather_dot)(const T* row, const T* matrix, std::int64_t d, const std::int32_t* ids,
                     std::int64_t count, T* out) = nullptr;
  /// out[d] = start + sum over i of weights[i] * matrix[ids[i]], by fused multiply-add in ascending i.
  /// `start` null: 0.
  void (*gather_sum)(const T* weights, const std::int32_t* ids, std::int64_t count, const T* matrix,
                     std::int64_t d, const T* start, T* out) = nullptr;
  /// Sum of squares of a row, in double; not bound to an order.
  double (*square_sum)(const T* row, std::int64_t d) = nullptr;
  /// Writes to `found` the features of the tile whose value could be above `floor` and whose score could be
  /// at least the cut (`cut`, or the tile's own); returns their number. `found` must have room for `count`.
  std::int64_t (*scan)(const ScreenedRow<T>& row, T floor, T cut, std::int32_t* found) = nullptr;
  /// Splits the tile into at most `groups` (a multiple of 16) disjoint groups and writes the largest certain
  /// score of each, or the lowest number where no value is certain to be above zero; returns the number of
  /// groups.
  std::int64_t (*group_maxima)(const ScreenedRow<T>& row, std::int64_t groups, T* maxima) = nullptr;
  /// A number that at least k of the numbers reach, and hardly more than k: close to the k-th largest, from
  /// below. The lowest number stands for none; if fewer than k others are there, it is the result.
  T (*reached_by)(const T* numbers, std::int64_t count, std::int64_t k) = nullptr;
  /// Nearest neighbours: columns of |product| that reach `row_cut`, or their own column_cut [count] (null:
  /// none). Returns their number.
  std::int64_t (*scan_absolute)(const T* product, std::int64_t count, T row_cut, const T* column_cut,
                                std::int32_t* found) = nullptr;
  /// The same of the product itself.
  std::int64_t (*scan_signed)(const T* product, std::int64_t count, T row_cut, const T* column_cut,
                              std::int32_t* found) = nullptr;
  /// Sum of |x| or x * x over the numbers, in 16 interleaved partial sums in double; each number becomes its
  /// derivative, sign(x) or 2 * x.
  double (*penalise)(T* numbers, std::int64_t count, bool square) = nullptr;
};

/// The copies that this processor can run, best first.
template <typename T>
const std::vector<KernelTable<T>>& kernel_tables();

/// The best of them.
template <typename T>
const KernelTable<T>& best_kernels() {
  return kernel_tables<T>().front();
}

/// The bfloat16 kernels of the copies that this processor can run, best first.
const std::vector<HalfKernels>& half_kernels();

}  // namespace regulon
