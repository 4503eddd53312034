#pragma once
/// Gradients of matrices whose rows are reached by listed entries: made at once, or, where the matrix is a
/// leaf (the dictionary, a parameter of an encoder), with those of other operations on it. Operations then do
/// not each make an [n, d] of their own, which autograd would add up: backward waits for all of them, and
/// sums each row over what all have for it, in an order that depends on them alone. Any other use of the leaf
/// adds a gradient as usual.

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <regulon/codes.h>

#include <memory>
#include <vector>

#include "ops/gather.h"

namespace torch::autograd {
struct Node;
}

namespace regulon::ops::detail {

/// For each feature the sum over its entries of `weights`, per entry, times rows of `matrix` [B, d].
RowSums gradient_by_feature(const Codes& codes, const at::Tensor& weights, const at::Tensor& matrix);

/// Where the gradients of `rows` meet if these are a leaf, to be kept from forward to backward; else none.
at::IValue meeting_of(const at::Tensor& rows);

/// What a backward returns for its rows, of which this is the gradient: its sums, or nothing where they are
/// left to the meeting.
at::Tensor hand_in(const at::IValue& meeting, RowSums gradient);

/// While it lives, what is left to the meeting of `leaf` waits for `take` instead of being summed at the end
/// of a backward. A tensor that is no leaf has nothing.
class KeptSums {
 public:
  explicit KeptSums(const at::Tensor& leaf);
  ~KeptSums();
  KeptSums(KeptSums&&) = default;
  KeptSums& operator=(KeptSums&&) = delete;

  /// False where another one of the leaf lives, which goes on alone.
  bool alone() const { return node_ == nullptr || !meeting_.isNone(); }

  /// What waits; of several backwards, in their order.
  std::vector<RowSums> take();

 private:
  std::shared_ptr<torch::autograd::Node> node_;  ///< that of the leaf, which would else go with the graph
  at::IValue meeting_;                           ///< none without a leaf, or where another one keeps it
};

}  // namespace regulon::ops::detail
