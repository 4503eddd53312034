#pragma once
/// Gradients whose rows are not summed before somebody takes them: what an optimiser that needs each row once
/// saves writing and reading whole gradients with.

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace regulon::ops {

/// A gradient [n, d] of float, each row of which is still a list of what it is the sum of. It may outlive the
/// graph and the PendingGradients that it is from. What the backward read (batches, the gradient that it
/// began with) must not change before the last use; the leaves may.
class PendingRows {
 public:
  /// No gradient.
  PendingRows() = default;

  bool empty() const { return lists_ == nullptr; }

  /// Calls use(row, gradient) once for every row of [first, n), from several threads; `gradient` [d] lasts
  /// until use returns. As often as wanted, with the same bits: those of `make`, whatever the number of
  /// threads. Throws RunError if this is empty, or `first` not in [0, n].
  void visit(std::int64_t first,
             const std::function<void(std::int64_t row, const float* gradient)>& use) const;

  /// All of it: [n, d] float. After one backward of a leaf that had no gradient, the bits that `leaf.grad()`
  /// would have; after several, which autograd would add up one by one, these to rounding. Throws RunError if
  /// this is empty.
  at::Tensor make() const;

 private:
  friend class PendingGradients;
  struct Lists;
  const Lists& lists() const;

  std::shared_ptr<const Lists> lists_;
};

/// While this lives, a backward leaves the gradients of `leaves` pending where operations of this SDK reach
/// single rows of them (`decode`, `select_product`, `pair_cosines` and what is made of these); whatever other
/// operations add is in `leaf.grad()` as usual. Nothing waits of a leaf with hooks, which are to see its
/// gradient, nor of a tensor that is no leaf. What a backward that threw had handed to a leaf before stays,
/// as it does in `grad()`.
class PendingGradients {
 public:
  /// Throws RunError if a leaf is not defined, is there twice, or if another object of this class has it.
  explicit PendingGradients(const std::vector<at::Tensor>& leaves);
  /// What nobody took is gone.
  ~PendingGradients();
  PendingGradients(const PendingGradients&) = delete;
  PendingGradients& operator=(const PendingGradients&) = delete;

  /// The gradient of leaves[index], all of it: `leaf.grad()` is then undefined. Empty where it is all in
  /// `leaf.grad()`: where no row was pending, or where rows had better be made at once, because they read
  /// rows of leaves, which an optimiser changes, or are quicker to sum together (few rows of very many
  /// entries), or are not float. Throws std::out_of_range.
  PendingRows take(std::size_t index);

 private:
  struct Leaf;
  std::vector<Leaf> leaves_;
};

}  // namespace regulon::ops
