#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <regulon/ops.h>
#include <regulon/sums.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#include "kernel_table.h"
#include "ops/gather.h"
#include "ops/support.h"

namespace regulon::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr const char* kNestedErrors = "nested_errors";

/// What one pass over the rows comes to. With r_j = x - xhat_j the residual of prefix j and S_j the sum of
/// r_j … r_m, the error has the gradients -2 S_g . d_i to a value and -2 a S_g to a row d_i of block g.
struct Pass {
  at::Tensor errors;     ///< [B] double: sum over prefixes of |r_j|^2
  at::Tensor residuals;  ///< [m, B, d]: S_j; undefined without gradient
  at::Tensor reached;    ///< [entries]: S_g . d_i; undefined without gradient
};

struct Operands {
  const Codes& pattern;
  const at::Tensor& values;
  const at::Tensor& weight;
  const at::Tensor& centered;  ///< [B, d]: x - b_dec
  const std::vector<std::int64_t>& sizes;
};

/// One row's work; made once a thread.
template <typename T>
class RowPass {
 public:
  RowPass(const Operands& operands, Pass& pass)
      : sizes_(operands.sizes),
        rows_(operands.centered.size(0)),
        d_(operands.centered.size(1)),
        ids_(operands.pattern.feature_ids().const_data_ptr<std::int32_t>()),
        values_(operands.values.const_data_ptr<T>()),
        weight_(operands.weight.const_data_ptr<T>()),
        x_(operands.centered.const_data_ptr<T>()),
        errors_(pass.errors.mutable_data_ptr<double>()),
        sums_(pass.residuals.defined() ? pass.residuals.mutable_data_ptr<T>() : nullptr),
        reached_(pass.reached.defined() ? pass.reached.mutable_data_ptr<T>() : nullptr),
        residuals_(sizes_.size() * static_cast<std::size_t>(d_)),
        ends_(sizes_.size()) {}

  void operator()(std::int64_t row, std::int64_t begin, std::int64_t end) {
    find_blocks(begin, end);
    subtract(row, begin, end);
    if (sums_ != nullptr) add_up(row, begin);
  }

 private:
  /// Where the entries of each block end; feature ids ascend within a row.
  void find_blocks(std::int64_t begin, std::int64_t end) {
    std::int64_t last = 0;
    std::int64_t entry = begin;
    for (std::size_t j = 0; j < sizes_.size(); ++j) {
      last += sizes_[j];
      entry = std::lower_bound(ids_ + entry, ids_ + end, last) - ids_;
      ends_[j] = entry;
    }
  }
  /// The residual of each prefix from the one before.
  void subtract(std::int64_t row, std::int64_t begin, std::int64_t end) {
    negated_.assign(static_cast<std::size_t>(end - begin), T(0));
    std::transform(values_ + begin, values_ + end, negated_.begin(), [](T value) { return -value; });
    const T* from = x_ + row * d_;
    std::int64_t entry = begin;
    double error = 0;
    for (std::size_t j = 0; j < sizes_.size(); ++j) {
      T* const to = residuals_.data() + j * static_cast<std::size_t>(d_);
      table_.gather_sum(negated_.data() + (entry - begin), ids_ + entry, ends_[j] - entry, weight_, d_, from,
                        to);
      error += table_.square_sum(to, d_);
      from = to;
      entry = ends_[j];
    }
    errors_[row] = error;
  }
  /// S of each prefix, from the last, and what it comes to along the atoms of its block.
  void add_up(std::int64_t row, std::int64_t begin) {
    for (std::size_t j = sizes_.size(); j-- > 0;) {
      T* const sum = sums_ + (static_cast<std::int64_t>(j) * rows_ + row) * d_;
      const T* const own = residuals_.data() + j * static_cast<std::size_t>(d_);
      if (j + 1 == sizes_.size()) {
        std::copy(own, own + d_, sum);
      } else {
        const T* const wider = sum + rows_ * d_;
        for (std::int64_t i = 0; i < d_; ++i) sum[i] = wider[i] + own[i];
      }
      const std::int64_t first = j == 0 ? begin : ends_[j - 1];
      table_.gather_dot(sum, weight_, d_, ids_ + first, ends_[j] - first, reached_ + first);
    }
  }

  const std::vector<std::int64_t>& sizes_;
  std::int64_t rows_;
  std::int64_t d_;
  const std::int32_t* ids_;
  const T* values_;
  const T* weight_;
  const T* x_;
  double* errors_;
  T* sums_;
  T* reached_;
  const KernelTable<T>& table_ = best_kernels<T>();
  std::vector<T> residuals_;  ///< [m, d]
  std::vector<T> negated_;
  std::vector<std::int64_t> ends_;
};

Pass pass_over_rows(const Operands& operands, bool with_gradient) {
  const std::int64_t rows = operands.centered.size(0);
  const std::int64_t d = operands.centered.size(1);
  const auto options = operands.weight.options().requires_grad(false);
  Pass pass;
  pass.errors = at::empty({rows}, options.dtype(at::kDouble));
  if (with_gradient) {
    pass.residuals = at::empty({static_cast<std::int64_t>(operands.sizes.size()), rows, d}, options);
    pass.reached = at::empty({operands.pattern.entries()}, options);
  }
  const auto* const offsets = operands.pattern.row_offsets().const_data_ptr<std::int64_t>();
  detail::by_dtype(operands.weight, [&](auto zero) {
    detail::parallel_by_entries(offsets, rows, d, [&](std::int64_t begin, std::int64_t end) {
      RowPass<decltype(zero)> work(operands, pass);
      for (std::int64_t row = begin; row < end; ++row) work(row, offsets[row], offsets[row + 1]);
    });
  });
  return pass;
}

struct NestedErrors final : torch::autograd::Function<NestedErrors> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& values, const at::Tensor& weight,
                            const at::Tensor& bias, const at::Tensor& batch, const Codes& pattern,
                            const std::vector<std::int64_t>& sizes, bool with_gradient) {
    const at::Tensor centered = (batch - bias).contiguous();
    const Pass pass =
        pass_over_rows({pattern, values.contiguous(), weight.contiguous(), centered, sizes}, with_gradient);
    if (with_gradient) {
      context->save_for_backward({values, pass.residuals, pass.reached});
      context->saved_data["pattern"] = detail::carry(pattern);
      context->saved_data["sizes"] = sizes;
    }
    return at::scalar_tensor(detail::total(pass.errors), weight.options().requires_grad(false));
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    detail::refuse_double_backward(kNestedErrors);
    const variable_list saved = context->get_saved_variables();
    const Codes pattern = detail::carried<Codes>(context->saved_data.at("pattern"));
    const std::vector<std::int64_t> sizes = context->saved_data.at("sizes").toIntVector();
    const at::Tensor factor = -2 * gradients[0];
    variable_list result(7);
    if (context->needs_input_grad(0)) result[0] = saved[2] * factor;
    if (context->needs_input_grad(1))
      result[1] = weight_gradient(pattern, saved[0], saved[1], sizes).mul_(factor);
    if (context->needs_input_grad(2)) {
      result[2] = detail::weighted_total({}, saved[1].select(0, 0)) * factor;
    }
    return result;
  }

  /// [n, d]: sum over each feature's entries of a S_g.
  static at::Tensor weight_gradient(const Codes& pattern, const at::Tensor& values,
                                    const at::Tensor& residuals, const std::vector<std::int64_t>& sizes) {
    const FeatureOrder& order = pattern.by_feature();
    const at::Tensor weights = detail::permuted(values, order.entries);
    std::vector<at::Tensor> blocks;
    std::int64_t first = 0;
    for (std::size_t j = 0; j < sizes.size(); ++j) {
      blocks.push_back(detail::sum_rows({{order.offsets.narrow(0, first, sizes[j] + 1), order.rows, weights,
                                          residuals.select(0, static_cast<std::int64_t>(j))}}));
      first += sizes[j];
    }
    return at::cat(blocks);
  }
};

/// By one decode a block: for codes that are a matrix.
at::Tensor errors_of_blocks(const Codes& codes, const Dictionary& dictionary, const at::Tensor& batch,
                            const std::vector<std::int64_t>& sizes) {
  const std::vector<Codes> blocks = split_features(codes, sizes);
  const std::vector<at::Tensor> rows = dictionary.weight().split_with_sizes(sizes);
  at::Tensor left = batch - dictionary.bias();
  at::Tensor sum = at::zeros({}, batch.options());
  for (std::size_t j = 0; j < sizes.size(); ++j) {
    left = left - decode(blocks[j], rows[j], at::Tensor());
    sum = sum + total(left.square());
  }
  return sum;
}

}  // namespace

at::Tensor nested_errors(const Codes& codes, const Dictionary& dictionary, const at::Tensor& batch,
                         const std::vector<std::int64_t>& sizes) {
  detail::check_like(kNestedErrors, "batch", batch, {codes.rows(), dictionary.width()}, dictionary.weight());
  detail::check_block_sizes(kNestedErrors, sizes, codes.features());
  const at::Tensor rows = batch.detach();
  if (!codes.is_sparse()) return errors_of_blocks(codes, dictionary, rows, sizes);
  const at::Tensor& weight = dictionary.weight();
  const at::Tensor& bias = dictionary.bias();
  const bool with_gradient = at::GradMode::is_enabled() && (codes.values().requires_grad() ||
                                                            weight.requires_grad() || bias.requires_grad());
  return NestedErrors::apply(codes.values(), weight, bias, rows, codes.detach(), sizes, with_gradient);
}

}  // namespace regulon::ops
