#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <regulon/pairs.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <vector>

#include "codes_pattern.h"
#include "kernel_table.h"
#include "ops/gather.h"
#include "ops/row_choice.h"
#include "ops/row_gradients.h"
#include "ops/support.h"

namespace regulon::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr const char* kPairCosines = "pair_cosines";

/// 1 / |row| of a row, or 0 for a row of zeros.
template <typename T>
T inverse_norm(const T* row, std::int64_t d) {
  const std::int32_t itself = 0;
  T square = 0;
  best_kernels<T>().gather_dot(row, row, d, &itself, 1, &square);
  return square > 0 ? T(1) / std::sqrt(square) : T(0);
}

/// [n]: the first pair whose left row each row is, or -1.
std::vector<std::int64_t> first_pairs(std::int64_t n, const std::int32_t* left, std::int64_t pairs) {
  std::vector<std::int64_t> first(static_cast<std::size_t>(n), -1);
  for (std::int64_t p = pairs - 1; p >= 0; --p) first[static_cast<std::size_t>(left[p])] = p;
  return first;
}

/// Writes the inverse norms of all rows [n], and cos of the pairs, whose left rows come in runs. A row's norm
/// is taken while its products have it in cache: of wide dictionaries, memory is what this waits for.
template <typename T>
at::Tensor cosines(const at::Tensor& rows, const at::Tensor& row, const at::Tensor& other,
                   at::Tensor& inverses) {
  const std::int64_t n = rows.size(0);
  const std::int64_t d = rows.size(1);
  const std::int64_t pairs = row.size(0);
  at::Tensor out = at::empty({pairs}, rows.options());
  const T* const data = rows.const_data_ptr<T>();
  T* const inverse = inverses.mutable_data_ptr<T>();
  const std::int32_t* const left = row.const_data_ptr<std::int32_t>();
  const std::int32_t* const right = other.const_data_ptr<std::int32_t>();
  const std::vector<std::int64_t> first = first_pairs(n, left, pairs);
  T* const to = out.mutable_data_ptr<T>();
  at::parallel_for(0, pairs, grain_for(d), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t p = begin; p < end;) {
      std::int64_t last = p + 1;
      while (last < end && left[last] == left[p]) ++last;
      best_kernels<T>().gather_dot(data + left[p] * d, data, d, right + p, last - p, to + p);
      if (first[static_cast<std::size_t>(left[p])] == p)
        inverse[left[p]] = inverse_norm(data + left[p] * d, d);
      p = last;
    }
  });
  at::parallel_for(0, n, grain_for(d), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      if (first[static_cast<std::size_t>(i)] < 0) inverse[i] = inverse_norm(data + i * d, d);
    }
  });
  for (std::int64_t p = 0; p < pairs; ++p) to[p] *= inverse[left[p]] * inverse[right[p]];
  return out;
}

/// How strongly each row is pulled: by each of its pairs towards the other row, and by all of them together
/// back along itself, so that its length does not change. d cos / d w_i = (u_j - cos u_i) / |w_i|.
template <typename T>
at::Tensor pulls(const at::Tensor& gradient, const at::Tensor& cosine, const at::Tensor& inverses,
                 const at::Tensor& row, const at::Tensor& other) {
  const std::int64_t pairs = row.size(0);
  const std::int64_t n = inverses.size(0);
  at::Tensor weights = at::zeros({2 * pairs + n}, inverses.options());
  T* const weight = weights.mutable_data_ptr<T>();
  T* const along = weight + 2 * pairs;
  const T* const g = gradient.const_data_ptr<T>();
  const T* const cos = cosine.const_data_ptr<T>();
  const T* const inverse = inverses.const_data_ptr<T>();
  const std::int32_t* const left = row.const_data_ptr<std::int32_t>();
  const std::int32_t* const right = other.const_data_ptr<std::int32_t>();
  for (std::int64_t p = 0; p < pairs; ++p) {
    weight[p] = weight[pairs + p] = g[p] * inverse[left[p]] * inverse[right[p]];
    along[left[p]] -= g[p] * cos[p];
    along[right[p]] -= g[p] * cos[p];
  }
  for (std::int64_t i = 0; i < n; ++i) along[i] *= inverse[i] * inverse[i];
  return weights;
}

struct PairCosines final : torch::autograd::Function<PairCosines> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& given, const at::Tensor& row,
                            const at::Tensor& other) {
    const at::Tensor rows = given.contiguous();
    return detail::by_dtype(rows, [&](auto zero) {
      at::Tensor inverses = at::empty({rows.size(0)}, rows.options());
      at::Tensor found = cosines<decltype(zero)>(rows, row, other, inverses);
      context->save_for_backward({rows, row, other, inverses, found});
      context->saved_data["meeting"] = detail::meeting_of(given);
      return found;
    });
  }

  /// Sorted by the row that is pulled, each row is summed by one thread.
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    detail::refuse_double_backward(kPairCosines);
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& rows = saved[0];
    const at::Tensor weights = detail::by_dtype(rows, [&](auto zero) {
      return pulls<decltype(zero)>(gradients[0].contiguous(), saved[4], saved[3], saved[1], saved[2]);
    });
    const at::Tensor itself = at::arange(rows.size(0), saved[1].options());
    const at::Tensor pulled = at::cat({saved[1], saved[2], itself});
    const at::Tensor towards = at::cat({saved[2], saved[1], itself});
    const FeatureOrder order = sort_by_feature(rows.size(0), pulled, towards);
    return {detail::hand_in(context->saved_data.at("meeting"),
                            {order.offsets, order.rows, detail::permuted(weights, order.entries), rows}),
            {},
            {}};
  }
};

}  // namespace

at::Tensor pair_cosines(const at::Tensor& rows, const at::Tensor& row, const at::Tensor& other) {
  detail::check_floating(kPairCosines, "rows", rows, 2);
  detail::check_pair_ids(kPairCosines, "row", row, row.defined() ? row.numel() : 0, rows.size(0));
  detail::check_pair_ids(kPairCosines, "other", other, row.numel(), rows.size(0));
  return PairCosines::apply(rows, row.to(at::kInt).contiguous(), other.to(at::kInt).contiguous());
}

}  // namespace regulon::ops
