#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <regulon/ops.h>
#include <torch/csrc/autograd/custom_function.h>

#include "codes_pattern.h"
#include "kernel_table.h"
#include "ops/gather.h"
#include "ops/support.h"

namespace regulon::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr const char* kWhere = "pair_cosines";

void check_ids(const std::string& name, const at::Tensor& ids, std::int64_t pairs, std::int64_t n) {
  if (!ids.defined() || ids.dim() != 1 || ids.size(0) != pairs || ids.scalar_type() != at::kLong ||
      !ids.device().is_cpu()) {
    detail::fail(kWhere, "cannot use " + name, fmt::format("[{}] Long on the CPU", pairs),
                 detail::text_of(ids));
  }
  if (pairs == 0) return;
  const std::int64_t least = ids.min().item<std::int64_t>();
  const std::int64_t most = ids.max().item<std::int64_t>();
  if (least >= 0 && most < n) return;
  detail::fail(kWhere, "cannot use " + name, fmt::format("rows from 0 to {}", n - 1),
               fmt::format("{} to {}", least, most));
}

struct PairCosines final : torch::autograd::Function<PairCosines> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& unit_rows, const at::Tensor& row,
                            const at::Tensor& other) {
    const at::Tensor rows = unit_rows.contiguous();
    context->save_for_backward({rows, row, other});
    at::Tensor out = at::empty({row.size(0)}, rows.options());
    detail::by_dtype(rows, [&](auto zero) {
      using T = decltype(zero);
      const T* const data = rows.const_data_ptr<T>();
      const std::int64_t d = rows.size(1);
      const std::int32_t* const left = row.const_data_ptr<std::int32_t>();
      const std::int32_t* const right = other.const_data_ptr<std::int32_t>();
      T* const to = out.mutable_data_ptr<T>();
      at::parallel_for(0, row.size(0), grain_for(d), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t p = begin; p < end;) {
          std::int64_t last = p + 1;
          while (last < end && left[last] == left[p]) ++last;
          best_kernels<T>().gather_dot(data + left[p] * d, data, d, right + p, last - p, to + p);
          p = last;
        }
      });
    });
    return out;
  }

  /// Each pair pulls at both of its rows: sorted by the row that is pulled, each row is summed by one thread.
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    detail::refuse_double_backward(kWhere);
    const variable_list saved = context->get_saved_variables();
    const at::Tensor pulled = at::cat({saved[1], saved[2]});
    const at::Tensor towards = at::cat({saved[2], saved[1]});
    const FeatureOrder order = sort_by_feature(saved[0].size(0), pulled, towards);
    const at::Tensor weights = detail::permuted(at::cat({gradients[0], gradients[0]}), order.entries);
    return {detail::sum_rows(order.offsets, order.rows, weights, saved[0]), {}, {}};
  }
};

}  // namespace

at::Tensor pair_cosines(const at::Tensor& unit_rows, const at::Tensor& row, const at::Tensor& other) {
  detail::check_floating(kWhere, "unit_rows", unit_rows, 2);
  check_ids("row", row, row.defined() ? row.numel() : 0, unit_rows.size(0));
  check_ids("other", other, row.numel(), unit_rows.size(0));
  return PairCosines::apply(unit_rows, row.to(at::kInt).contiguous(), other.to(at::kInt).contiguous());
}

}  // namespace regulon::ops
