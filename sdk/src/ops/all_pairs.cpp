#include <ATen/TensorOperators.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
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
#include "ops/pair_cost.h"
#include "ops/row_choice.h"
#include "ops/support.h"
#include "ops/tiles.h"

namespace regulon::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr const char* kAllPairs = "all_pairs";

/// Sum over the wanted ordered pairs, and its gradient if that was wanted.
struct Penalty {
  double sum = 0;
  at::Tensor gradient;  ///< [n, d] or undefined
};

/// What is summed: of pairs of rows, the left one among the first `chosen`.
struct PairSum {
  at::Tensor rows;      ///< [n, d] contiguous, without gradient
  at::Tensor order;     ///< [n]: which rows these are, the chosen first; undefined where all are chosen
  std::int64_t chosen;  ///< at most n
  PairPenalty penalty;
  at::Tensor strengths;  ///< [n] contiguous, or undefined
  double power = 1;
  bool with_gradient = false;

  bool plain() const { return !strengths.defined() && penalty.cap >= 1; }
  bool is(PairPenalty::Shape shape, bool absolute) const {
    return penalty.shape == shape && penalty.absolute == absolute;
  }
};

/// Blocks of the product, each of which is turned from cosines into derivatives.
template <typename T>
class BlockCosts {
 public:
  explicit BlockCosts(const PairSum& job)
      : job_(job),
        cost_(job.penalty),
        strength_(job.strengths.defined() ? job.strengths.const_data_ptr<T>() : nullptr),
        square_(job.is(PairPenalty::Shape::square, true)),
        quick_(job.plain() && job.chosen == job.rows.size(0) &&
               (square_ || job.is(PairPenalty::Shape::linear, true))) {}

  /// Sum of the block's penalties, each pair by half of how many of its two rows are chosen. The block
  /// begins at (row, column); its diagonal does not count where it is the product's.
  double turn(at::Tensor& block, std::int64_t row, std::int64_t column) const {
    if (row == column) block.fill_diagonal_(0);
    T* const data = block.mutable_data_ptr<T>();
    if (quick_) return best_kernels<T>().penalise(data, block.numel(), square_);
    double sum = 0;
    for (std::int64_t r = 0; r < block.size(0); ++r)
      sum += turn_row(data + r * block.size(1), block.size(1), row + r, column);
    return sum;
  }

 private:
  double turn_row(T* cosines, std::int64_t count, std::int64_t row, std::int64_t column) const {
    double sum = 0;
    for (std::int64_t c = 0; c < count; ++c) {
      const std::int64_t other = column + c;
      const double weight = other == row ? 0 : weight_of(row, other);
      const auto value = cost_(static_cast<double>(cosines[c]));
      sum += weight * value.cost;
      cosines[c] = static_cast<T>(weight * value.slope);
    }
    return sum;
  }

  double weight_of(std::int64_t row, std::int64_t other) const {
    const double share = 0.5 * ((row < job_.chosen ? 1 : 0) + (other < job_.chosen ? 1 : 0));
    if (strength_ == nullptr) return share;
    const double strength = static_cast<double>(strength_[row]) + static_cast<double>(strength_[other]);
    return share * (job_.power == 1 ? strength : std::pow(strength, job_.power));
  }

  const PairSum& job_;
  detail::PairCost cost_;
  const T* strength_;
  bool square_;
  bool quick_;  ///< a kernel does it
};

/// Pair by pair of blocks: each product is made once and serves both of its blocks.
template <typename T>
Penalty in_blocks(const PairSum& job) {
  const at::Tensor& rows = job.rows;
  const detail::RowBlocks blocks(rows.size(0));
  const BlockCosts<T> costs(job);
  Penalty result;
  if (job.with_gradient) result.gradient = at::zeros_like(rows);
  std::vector<double> sums(static_cast<std::size_t>(blocks.count * blocks.count));
  detail::for_block_pairs(blocks.count, blocks.pair_cost(rows.size(1)), [&](std::int64_t i, std::int64_t j) {
    if (blocks.begin(i) >= job.chosen) return;  // and so is that of j, which is not before i
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    const at::Tensor left = rows.narrow(0, blocks.begin(i), blocks.size(i));
    const at::Tensor right = rows.narrow(0, blocks.begin(j), blocks.size(j));
    at::Tensor product = at::empty({left.size(0), right.size(0)}, rows.options());
    detail::tile_product(left, right.t(), product);
    const double sum = costs.turn(product, blocks.begin(i), blocks.begin(j));
    sums[static_cast<std::size_t>(i * blocks.count + j)] = i == j ? sum : 2 * sum;
    if (!job.with_gradient) return;
    detail::add_tile_product(product, right, result.gradient.narrow(0, blocks.begin(i), blocks.size(i)));
    if (i != j)
      detail::add_tile_product(product.t(), left, result.gradient.narrow(0, blocks.begin(j), blocks.size(j)));
  });
  result.sum = std::accumulate(sums.begin(), sums.end(), 0.0);
  // Each ordered pair pulls at both of its rows.
  if (job.with_gradient) result.gradient.mul_(2);
  return result;
}

/// Squares of absolute cosines only: with G = rowsᵀ · rows of all and of the chosen, [d, d], their inner
/// product is the sum over all pairs, those of each row with itself included. O(n * d * d) instead of
/// O(n * n * d).
Penalty by_gram(const PairSum& job) {
  const at::Tensor chosen = job.rows.narrow(0, 0, job.chosen);
  const at::Tensor gram = detail::tiled_product_value(job.rows.t(), job.rows);
  const bool all = job.chosen == job.rows.size(0);
  const at::Tensor of_chosen = all ? gram : detail::tiled_product_value(chosen.t(), chosen);
  const at::Tensor own = chosen.square().sum(1);
  Penalty result;
  result.sum = detail::total((gram * of_chosen).view({-1})) - detail::total(own.square());
  if (job.with_gradient) {
    result.gradient = detail::tiled_product_value(job.rows, of_chosen).mul_(2);
    result.gradient.narrow(0, 0, job.chosen)
        .add_(detail::tiled_product_value(chosen, gram).mul_(2).sub_(chosen * (4 * own.unsqueeze(1))));
  }
  return result;
}

/// Signed linear penalties only: the sum of all rows times the sum of the chosen, less each with itself.
Penalty by_sum(const PairSum& job) {
  const at::Tensor chosen = job.rows.narrow(0, 0, job.chosen);
  const at::Tensor of_all = detail::weighted_total({}, job.rows);
  const at::Tensor of_chosen = detail::weighted_total({}, chosen);
  Penalty result;
  result.sum = detail::total(of_all * of_chosen) - detail::total(chosen.square().sum(1));
  if (job.with_gradient) {
    result.gradient = of_chosen.unsqueeze(0).expand_as(job.rows).clone(at::MemoryFormat::Contiguous);
    result.gradient.narrow(0, 0, job.chosen).add_(of_all).sub_(chosen, 2);
  }
  return result;
}

Penalty sum_pairs(const PairSum& job) {
  using Shape = PairPenalty::Shape;
  if (job.plain() && job.is(Shape::linear, false)) return by_sum(job);
  const bool narrow = job.rows.size(0) > 2 * job.rows.size(1);
  if (job.plain() && job.is(Shape::square, true) && narrow) return by_gram(job);
  return detail::by_dtype(job.rows, [&](auto zero) { return in_blocks<decltype(zero)>(job); });
}

/// Value and gradient come from one pass, so that no block is multiplied twice.
struct AllPairs final : torch::autograd::Function<AllPairs> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& unit_rows, PairSum job) {
    const at::Tensor rows = unit_rows.detach();
    job.rows = job.order.defined() ? rows.index_select(0, job.order) : rows.contiguous();
    Penalty penalty = sum_pairs(job);
    const double pairs = static_cast<double>(job.chosen) * static_cast<double>(rows.size(0) - 1);
    if (job.with_gradient) {
      penalty.gradient.div_(pairs);
      if (job.order.defined()) {
        const at::Tensor sorted = penalty.gradient;
        penalty.gradient = at::empty_like(sorted).index_copy_(0, job.order, sorted);
      }
      context->save_for_backward({penalty.gradient});
    }
    return at::scalar_tensor(penalty.sum / pairs, rows.options());
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    detail::refuse_double_backward(kAllPairs);
    return {context->get_saved_variables()[0] * gradients[0], {}};
  }
};

}  // namespace

at::Tensor all_pairs(const at::Tensor& unit_rows, const PairPenalty& penalty, const at::Tensor& rows,
                     const PairStrengths& strengths) {
  detail::check_floating(kAllPairs, "unit_rows", unit_rows, 2);
  detail::check_penalty(kAllPairs, penalty);
  const std::int64_t n = unit_rows.size(0);
  detail::check_row_choice(kAllPairs, rows, n);
  PairSum job;
  job.penalty = penalty;
  job.chosen = rows.defined() ? rows.size(0) : n;
  job.power = strengths.power;
  // Still a function of the rows, so that a gradient can be asked for.
  if (n < 2 || job.chosen == 0) return unit_rows.sum() * 0;
  if (job.chosen < n) job.order = detail::chosen_first(rows, n);
  if (strengths.of_rows.defined()) {
    detail::check_like(kAllPairs, "the strengths", strengths.of_rows, {n}, unit_rows);
    const at::Tensor given = strengths.of_rows.detach();
    job.strengths = job.order.defined() ? given.index_select(0, job.order) : given.contiguous();
  }
  job.with_gradient = unit_rows.requires_grad() && at::GradMode::is_enabled();
  return AllPairs::apply(unit_rows, job);
}

}  // namespace regulon::ops
