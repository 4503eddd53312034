#include <ATen/TensorOperators.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <regulon/pairs.h>
#include <torch/csrc/autograd/custom_function.h>

#include <numeric>
#include <vector>

#include "kernel_table.h"
#include "ops/block_pairs.h"
#include "ops/gather.h"
#include "ops/support.h"
#include "ops/tiles.h"

namespace regulon::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr const char* kAllPairs = "all_pairs";

/// Sum over ordered pairs, and its gradient if that was wanted.
struct Penalty {
  double sum = 0;
  at::Tensor gradient;  ///< [n, d] or undefined
};

/// Pair by pair of blocks: each product is made once and serves both of its blocks.
template <typename T>
Penalty in_blocks(const at::Tensor& rows, bool square, bool with_gradient) {
  const detail::RowBlocks blocks(rows.size(0));
  Penalty result;
  if (with_gradient) result.gradient = at::zeros_like(rows);
  std::vector<double> sums(static_cast<std::size_t>(blocks.count * blocks.count));
  detail::for_block_pairs(blocks.count, blocks.pair_cost(rows.size(1)), [&](std::int64_t i, std::int64_t j) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    const at::Tensor left = rows.narrow(0, blocks.begin(i), blocks.size(i));
    const at::Tensor right = rows.narrow(0, blocks.begin(j), blocks.size(j));
    at::Tensor product = at::empty({left.size(0), right.size(0)}, rows.options());
    detail::tile_product(left, right.t(), product);
    if (i == j) product.fill_diagonal_(0);
    const double sum = best_kernels<T>().penalise(product.mutable_data_ptr<T>(), product.numel(), square);
    sums[static_cast<std::size_t>(i * blocks.count + j)] = i == j ? sum : 2 * sum;
    if (!with_gradient) return;
    detail::add_tile_product(product, right, result.gradient.narrow(0, blocks.begin(i), blocks.size(i)));
    if (i != j)
      detail::add_tile_product(product.t(), left, result.gradient.narrow(0, blocks.begin(j), blocks.size(j)));
  });
  result.sum = std::accumulate(sums.begin(), sums.end(), 0.0);
  // Each ordered pair pulls at both of its rows.
  if (with_gradient) result.gradient.mul_(2);
  return result;
}

/// Squares only: the sum over all pairs is the squared norm of rowsᵀ · rows, [d, d], less the pairs of each
/// row with itself. O(n * d * d) instead of O(n * n * d).
Penalty by_gram(const at::Tensor& rows, bool with_gradient) {
  const at::Tensor gram = detail::tiled_product_value(rows.t(), rows);
  const at::Tensor own = rows.square().sum(1);
  Penalty result;
  result.sum = detail::total(gram.square().view({-1})) - detail::total(own.square());
  if (with_gradient) {
    result.gradient = detail::tiled_product_value(rows, gram).sub_(rows * own.unsqueeze(1)).mul_(4);
  }
  return result;
}

/// Value and gradient come from one pass, so that no block is multiplied twice.
struct AllPairs final : torch::autograd::Function<AllPairs> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& unit_rows, bool square,
                            bool with_gradient) {
    const at::Tensor rows = unit_rows.detach().contiguous();
    const std::int64_t n = rows.size(0);
    const bool gram = square && n > 2 * rows.size(1);
    const Penalty penalty = gram ? by_gram(rows, with_gradient) : detail::by_dtype(rows, [&](auto zero) {
      return in_blocks<decltype(zero)>(rows, square, with_gradient);
    });
    const double pairs = static_cast<double>(n) * static_cast<double>(n - 1);
    if (with_gradient) context->save_for_backward({penalty.gradient / pairs});
    return at::scalar_tensor(penalty.sum / pairs, rows.options());
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    detail::refuse_double_backward(kAllPairs);
    return {context->get_saved_variables()[0] * gradients[0], {}, {}};
  }
};

}  // namespace

at::Tensor all_pairs(const at::Tensor& unit_rows, PairShape shape) {
  detail::check_floating(kAllPairs, "unit_rows", unit_rows, 2);
  // Still a function of the rows, so that a gradient can be asked for.
  if (unit_rows.size(0) < 2) return unit_rows.sum() * 0;
  const bool with_gradient = unit_rows.requires_grad() && at::GradMode::is_enabled();
  return AllPairs::apply(unit_rows, shape == PairShape::square, with_gradient);
}

}  // namespace regulon::ops
