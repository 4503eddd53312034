#include "codes_pattern.h"

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace regulon {
namespace {

constexpr std::int64_t kGrainRows = 1024;

/// Calls work(row, begin, end) for each row's entries, rows in parallel.
template <typename Work>
void for_each_row(const at::Tensor& row_offsets, const Work& work) {
  const std::int64_t* const offsets = row_offsets.const_data_ptr<std::int64_t>();
  at::parallel_for(0, row_offsets.size(0) - 1, kGrainRows, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) work(row, offsets[row], offsets[row + 1]);
  });
}

}  // namespace

Pattern::Pattern(std::int64_t features, at::Tensor row_offsets, at::Tensor feature_ids)
    : features_(features), row_offsets_(std::move(row_offsets)), feature_ids_(std::move(feature_ids)) {}

std::shared_ptr<const Pattern> Pattern::of(const at::Tensor& dense) {
  const at::Tensor matrix = dense.contiguous();
  const std::int64_t rows = matrix.size(0);
  const std::int64_t features = matrix.size(1);
  at::Tensor row_offsets = at::zeros({rows + 1}, at::kLong);
  std::int64_t* const offsets = row_offsets.mutable_data_ptr<std::int64_t>();
  at::Tensor ids;
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, matrix.scalar_type(), "Codes::dense", [&] {
    const scalar_t* const data = matrix.const_data_ptr<scalar_t>();
    const scalar_t zero(0);
    at::parallel_for(0, rows, kGrainRows, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        const scalar_t* const values = data + row * features;
        offsets[row + 1] = features - std::count(values, values + features, zero);
      }
    });
    for (std::int64_t row = 0; row < rows; ++row) offsets[row + 1] += offsets[row];
    ids = at::empty({offsets[rows]}, at::kInt);
    std::int32_t* const out = ids.mutable_data_ptr<std::int32_t>();
    at::parallel_for(0, rows, kGrainRows, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        const scalar_t* const values = data + row * features;
        std::int64_t at = offsets[row];
        for (std::int64_t f = 0; f < features; ++f) {
          if (values[f] != zero) out[at++] = static_cast<std::int32_t>(f);
        }
      }
    });
  });
  return std::make_shared<Pattern>(features, std::move(row_offsets), std::move(ids));
}

const FeatureOrder& Pattern::by_feature() const {
  std::call_once(order_made_, [&] { order_ = sort_by_feature(features_, feature_ids_, entry_rows()); });
  return order_;
}

const at::Tensor& Pattern::entry_rows() const {
  std::call_once(rows_made_, [&] {
    entry_rows_ = at::empty({feature_ids_.size(0)}, at::kInt);
    std::int32_t* const rows = entry_rows_.mutable_data_ptr<std::int32_t>();
    for_each_row(row_offsets_, [&](std::int64_t row, std::int64_t begin, std::int64_t end) {
      std::fill(rows + begin, rows + end, static_cast<std::int32_t>(row));
    });
  });
  return entry_rows_;
}

at::Tensor Pattern::scatter(const at::Tensor& values) const {
  const at::Tensor source = values.contiguous();
  at::Tensor dense = at::zeros({row_offsets_.size(0) - 1, features_}, values.options().requires_grad(false));
  const std::int32_t* const ids = feature_ids_.const_data_ptr<std::int32_t>();
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, values.scalar_type(), "Codes::to_dense", [&] {
    const scalar_t* const from = source.const_data_ptr<scalar_t>();
    scalar_t* const to = dense.mutable_data_ptr<scalar_t>();
    for_each_row(row_offsets_, [&](std::int64_t row, std::int64_t begin, std::int64_t end) {
      for (std::int64_t e = begin; e < end; ++e) to[row * features_ + ids[e]] = from[e];
    });
  });
  return dense;
}

at::Tensor Pattern::gather(const at::Tensor& dense) const {
  const at::Tensor source = dense.contiguous();
  at::Tensor values = at::empty({feature_ids_.size(0)}, dense.options().requires_grad(false));
  const std::int32_t* const ids = feature_ids_.const_data_ptr<std::int32_t>();
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, dense.scalar_type(), "Codes::values", [&] {
    const scalar_t* const from = source.const_data_ptr<scalar_t>();
    scalar_t* const to = values.mutable_data_ptr<scalar_t>();
    for_each_row(row_offsets_, [&](std::int64_t row, std::int64_t begin, std::int64_t end) {
      for (std::int64_t e = begin; e < end; ++e) to[e] = from[row * features_ + ids[e]];
    });
  });
  return values;
}

FeatureOrder sort_by_feature(std::int64_t features, const at::Tensor& ids, const at::Tensor& rows) {
  const std::int64_t count = ids.size(0);
  FeatureOrder order;
  order.offsets = at::zeros({features + 1}, at::kLong);
  order.entries = at::empty({count}, at::kLong);
  order.rows = at::empty({count}, at::kInt);
  const std::int32_t* const id = ids.const_data_ptr<std::int32_t>();
  const std::int32_t* const row = rows.const_data_ptr<std::int32_t>();
  std::int64_t* const offsets = order.offsets.mutable_data_ptr<std::int64_t>();
  std::int64_t* const entries = order.entries.mutable_data_ptr<std::int64_t>();
  std::int32_t* const sorted_rows = order.rows.mutable_data_ptr<std::int32_t>();

  // Each piece of the entries counts for itself; the places follow from all counts, in the order of the
  // entries.
  constexpr std::int64_t kLeastEntries = 1 << 16;
  const std::int64_t pieces = std::clamp<std::int64_t>(count / kLeastEntries, 1, at::get_num_threads());
  std::vector<std::int64_t> places(static_cast<std::size_t>(pieces * features));
  const auto piece_begin = [&](std::int64_t piece) { return count * piece / pieces; };
  at::parallel_for(0, pieces, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t piece = begin; piece < end; ++piece) {
      std::int64_t* const counts = places.data() + piece * features;
      for (std::int64_t e = piece_begin(piece); e < piece_begin(piece + 1); ++e) ++counts[id[e]];
    }
  });
  std::int64_t next = 0;
  for (std::int64_t f = 0; f < features; ++f) {
    offsets[f] = next;
    for (std::int64_t piece = 0; piece < pieces; ++piece) {
      next += std::exchange(places[static_cast<std::size_t>(piece * features + f)], next);
    }
  }
  offsets[features] = next;
  at::parallel_for(0, pieces, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t piece = begin; piece < end; ++piece) {
      std::int64_t* const place = places.data() + piece * features;
      for (std::int64_t e = piece_begin(piece); e < piece_begin(piece + 1); ++e) {
        const std::int64_t to = place[id[e]]++;
        entries[to] = e;
        sorted_rows[to] = row[e];
      }
    }
  });
  return order;
}

}  // namespace regulon
