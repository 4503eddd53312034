#pragma once
/// Gradients whose rows are not summed before somebody takes them: what an optimiser that needs each row once
/// saves writing and reading whole gradients with.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace regulon::ops {

namespace detail {
struct RowSums;
}

/// A gradient [n, d] of float, each row of which is still a list of what it is the sum of.
class PendingRows {
 public:
  /// No gradient.
  PendingRows() = default;

  bool empty() const { return lists_ == nullptr; }

  /// Calls use(row, gradient) once for every row from `first` on, from several threads; `gradient` [d] lasts
  /// until use returns. As often as wanted: the bits are the same each time, and those of a gradient that is
  /// made at once. Not on an empty one.
  void visit(std::int64_t first,
             const std::function<void(std::int64_t row, const float* gradient)>& use) const;

 private:
  friend class PendingGradients;
  struct Lists;
  std::shared_ptr<const Lists> lists_;
};

/// While this lives, a backward leaves the gradients of `leaves` pending where operations of this SDK reach
/// single rows of them (`decode`, `select_product`, `pair_cosines` and what is made of these); whatever other
/// operations add is in `leaf.grad()` as usual. One at a time a leaf.
class PendingGradients {
 public:
  /// Throws RunError if another one of a leaf lives.
  explicit PendingGradients(std::vector<at::Tensor> leaves);
  ~PendingGradients();
  PendingGradients(const PendingGradients&) = delete;
  PendingGradients& operator=(const PendingGradients&) = delete;

  /// The gradient of leaves[index], all of it: `leaf.grad()` is then undefined. Empty where it is all in
  /// `leaf.grad()`: where no row was pending, or where rows had better be made at once, because they read
  /// rows of leaves, which the optimiser changes, or are quicker to sum together (few rows of very many
  /// entries), or are not float.
  PendingRows take(std::size_t index);

 private:
  struct Leaf;
  bool may_wait(const at::Tensor& leaf, const std::vector<detail::RowSums>& parts) const;

  std::vector<Leaf> leaves_;
};

}  // namespace regulon::ops
