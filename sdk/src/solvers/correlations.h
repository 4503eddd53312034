#pragma once
/// Correlations of residuals with all atoms: what every solver asks of the whole dictionary.

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "kernel_table.h"
#include "ops/tiles.h"

namespace regulon::solvers::detail {

/// Rows that one thread works on at a time: a whole number of the kernels' strips, and few enough for their
/// products with a tile of atoms to stay in cache.
inline constexpr std::int64_t kBlockRows = 48;
inline constexpr std::int64_t kTileAtoms = 512;

/// The dictionary's rows over their norms, and their products with residuals: quick ones with a rigorous
/// error for all atoms (in bfloat16 where the processor is quicker with it), and exact ones, as
/// KernelTable::gather_dot defines them, for those that matter. Decisions by exact products only do not
/// depend on blocks, threads or BLAS.
template <typename T>
class Correlations {
 public:
  /// `dictionary` [n, d], contiguous and finite. Rows of zeros stay zero.
  explicit Correlations(const at::Tensor& dictionary);

  std::int64_t features() const { return features_; }
  std::int64_t width() const { return width_; }
  const T* atoms() const { return unit_rows_.const_data_ptr<T>(); }  ///< [n, d]
  const T* atom(std::int64_t id) const { return atoms() + id * width_; }
  /// |d_i| of the dictionary as given; zero where the row is.
  double norm(std::int64_t id) const { return norms_[static_cast<std::size_t>(id)]; }
  const KernelTable<T>& kernels() const { return kernels_; }
  /// out[i] = <atom ids[i], row>.
  void dots(const T* row, const std::vector<std::int32_t>& ids, T* out) const {
    kernels_.gather_dot(row, atoms(), width_, ids.data(), static_cast<std::int64_t>(ids.size()), out);
  }

  /// The buffers of one thread, and the quick products.
  class Sweep {
   public:
    explicit Sweep(const Correlations& of);
    /// Calls visit(row, first, count, products, error) for each row and each tile of atoms [first, first +
    /// count), tiles ascending: `products` [count] are off by at most `error`. At most kBlockRows rows [d],
    /// none with numbers so large that their square is not finite.
    template <class Visit>
    void run(const std::vector<const T*>& rows, const Visit& visit) {
      load(rows);
      const std::int64_t n = of_.features();
      for (std::int64_t first = 0; first < n; first += kTileAtoms) {
        const std::int64_t count = std::min(kTileAtoms, n - first);
        multiply(static_cast<std::int64_t>(rows.size()), first, count);
        for (std::size_t row = 0; row < rows.size(); ++row)
          visit(row, first, count, products_.data() + static_cast<std::int64_t>(row) * count, errors_[row]);
      }
    }

   private:
    void load(const std::vector<const T*>& rows);
    void multiply(std::int64_t rows, std::int64_t first, std::int64_t count);

    const Correlations& of_;
    std::vector<std::uint16_t> halves_;  ///< [kBlockRows, padded width]
    at::Tensor rows_;                    ///< [kBlockRows, d]
    std::vector<T> products_;            ///< [kBlockRows, kTileAtoms]
    std::vector<T> errors_;
  };

 private:
  void make_halves();

  std::int64_t features_;
  std::int64_t width_;
  const KernelTable<T>& kernels_;
  at::Tensor unit_rows_;
  at::Tensor transposed_;  ///< [d, n] view of the unit rows
  std::vector<double> norms_;
  const HalfKernels* half_ = nullptr;  ///< null: products are in T
  std::int64_t padded_width_ = 0;
  at::Tensor groups_;
  double half_residual_ = 0;  ///< the largest norm of what rounding took from an atom
};

}  // namespace regulon::solvers::detail
