#include "ops/gather.h"

#include <ATen/ops/empty.h>

#include <numeric>
#include <utility>
#include <vector>

#include "kernel_table.h"
#include "ops/cache_windows.h"
#include "ops/row_summer.h"
#include "ops/support.h"

namespace regulon::ops::detail {
namespace {

constexpr std::int64_t kGrainEntries = 8192;
constexpr std::int64_t kBlockRows = 256;
constexpr std::int64_t kBlockNumbers = 8192;

at::Tensor empty_like(at::IntArrayRef shape, const at::Tensor& like) {
  return at::empty(shape, like.options().requires_grad(false));
}

template <typename T>
void total_of_blocks(const T* weights, const T* matrix, std::int64_t rows, std::int64_t d, T* out) {
  std::vector<std::int32_t> ids(static_cast<std::size_t>(std::max(rows, kBlockRows)));
  std::iota(ids.begin(), ids.end(), 0);
  const std::vector<T> ones(ids.size(), T(1));
  const auto& table = best_kernels<T>();
  const std::int64_t blocks = (rows + kBlockRows - 1) / kBlockRows;
  std::vector<T> partial(static_cast<std::size_t>(blocks * d));
  at::parallel_for(0, blocks, grain_for(kBlockRows * d), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      const std::int64_t first = block * kBlockRows;
      table.gather_sum(weights == nullptr ? ones.data() : weights + first, ids.data(),
                       std::min(kBlockRows, rows - first), matrix + first * d, d, nullptr,
                       partial.data() + block * d);
    }
  });
  table.gather_sum(ones.data(), ids.data(), blocks, partial.data(), d, nullptr, out);
}

}  // namespace

at::Tensor sum_rows(const std::vector<RowSums>& parts, const at::Tensor& start) {
  return by_dtype(parts[0].matrix,
                  [&](auto zero) { return sum_all(parts, RowSummer<decltype(zero)>(parts, start)); });
}

at::Tensor dot_rows(const at::Tensor& offsets, const at::Tensor& ids, const at::Tensor& rows,
                    const at::Tensor& matrix) {
  const std::int64_t items = offsets.size(0) - 1;
  const std::int64_t d = matrix.size(1);
  at::Tensor out = empty_like({ids.size(0)}, matrix);
  by_dtype(matrix, [&](auto zero) {
    using T = decltype(zero);
    const auto& table = best_kernels<T>();
    const std::int64_t* const begins = offsets.const_data_ptr<std::int64_t>();
    const std::int32_t* const id = ids.const_data_ptr<std::int32_t>();
    const T* const left = rows.const_data_ptr<T>();
    const T* const right = matrix.const_data_ptr<T>();
    T* const to = out.mutable_data_ptr<T>();
    const CacheWindows windows(begins, id, items, matrix.size(0), bytes_of_row<T>(d));
    parallel_by_entries(begins, items, d, [&](std::int64_t begin, std::int64_t end) {
      windows.visit(begin, end, [&](std::int64_t i, std::int64_t e, std::int64_t last, bool /*anew*/) {
        table.gather_dot(left + i * d, right, d, id + e, last - e, to + e);
      });
    });
  });
  return out;
}

at::Tensor weighted_total(const at::Tensor& weights, const at::Tensor& matrix) {
  at::Tensor out = empty_like({matrix.size(1)}, matrix);
  by_dtype(matrix, [&](auto zero) {
    using T = decltype(zero);
    total_of_blocks<T>(weights.defined() ? weights.const_data_ptr<T>() : nullptr, matrix.const_data_ptr<T>(),
                       matrix.size(0), matrix.size(1), out.mutable_data_ptr<T>());
  });
  return out;
}

at::Tensor total_by_feature(const Codes& codes, const at::Tensor& weights) {
  const FeatureOrder& order = codes.by_feature();
  at::Tensor out = empty_like({codes.features()}, weights);
  by_dtype(weights, [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t* const begins = order.offsets.const_data_ptr<std::int64_t>();
    const std::int64_t* const entries = order.entries.const_data_ptr<std::int64_t>();
    const T* const from = weights.const_data_ptr<T>();
    T* const to = out.mutable_data_ptr<T>();
    parallel_by_entries(begins, codes.features(), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t f = begin; f < end; ++f) {
        double sum = 0;
        for (std::int64_t e = begins[f]; e < begins[f + 1]; ++e) sum += static_cast<double>(from[entries[e]]);
        to[f] = static_cast<T>(sum);
      }
    });
  });
  return out;
}

double total(const at::Tensor& vector) {
  return by_dtype(vector, [&](auto zero) {
    using T = decltype(zero);
    const T* const from = vector.const_data_ptr<T>();
    const std::int64_t count = vector.numel();
    const std::int64_t blocks = (count + kBlockNumbers - 1) / kBlockNumbers;
    std::vector<double> partial(static_cast<std::size_t>(blocks));
    at::parallel_for(0, blocks, grain_for(kBlockNumbers), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t block = begin; block < end; ++block) {
        const std::int64_t last = std::min(count, (block + 1) * kBlockNumbers);
        // Four chains hide the latency of the addition; their order is fixed.
        double sums[4] = {};
        for (std::int64_t i = block * kBlockNumbers; i < last; ++i)
          sums[i % 4] += static_cast<double>(from[i]);
        partial[static_cast<std::size_t>(block)] = (sums[0] + sums[2]) + (sums[1] + sums[3]);
      }
    });
    return std::accumulate(partial.begin(), partial.end(), 0.0);
  });
}

at::Tensor permuted(const at::Tensor& values, const at::Tensor& places) {
  at::Tensor out = empty_like({places.size(0)}, values);
  by_dtype(values, [&](auto zero) {
    using T = decltype(zero);
    const T* const from = values.const_data_ptr<T>();
    const std::int64_t* const place = places.const_data_ptr<std::int64_t>();
    T* const to = out.mutable_data_ptr<T>();
    at::parallel_for(0, places.size(0), kGrainEntries, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t e = begin; e < end; ++e) to[e] = from[place[e]];
    });
  });
  return out;
}

}  // namespace regulon::ops::detail
