#include "ops/coherence_excess.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <regulon/coherence.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernel_table.h"
#include "ops/cosine_tiles.h"
#include "ops/support.h"

namespace regulon::ops {
namespace detail {
namespace {

/// Of a tile's entries, as one in: with more of them above mu, matrix products are quicker than rows.
constexpr std::int64_t kManyAbove = 16;

/// The largest |x| of a tile.
template <typename T>
double largest_of(const at::Tensor& tile) {
  const T* const data = tile.const_data_ptr<T>();
  // Eight at a time, since the compiler may not reorder a maximum by itself.
  constexpr std::int64_t kLanes = 8;
  T lanes[kLanes] = {};
  const std::int64_t count = tile.numel();
  std::int64_t e = 0;
  for (; e + kLanes <= count; e += kLanes)
    for (std::int64_t l = 0; l < kLanes; ++l) lanes[l] = std::max(lanes[l], std::fabs(data[e + l]));
  for (; e < count; ++e) lanes[0] = std::max(lanes[0], std::fabs(data[e]));
  return static_cast<double>(*std::max_element(lanes, lanes + kLanes));
}

/// One pass: tiles are summed up apart, and put together in a fixed order.
template <typename T>
class ExcessPass {
 public:
  ExcessPass(const at::Tensor& rows, double mu, std::int64_t frozen, bool with_gradient)
      : rows_(rows),
        blocks_(rows.size(0)),
        mu_(static_cast<T>(mu)),
        frozen_(frozen),
        sums_(static_cast<std::size_t>(blocks_.count * blocks_.count)),
        largest_(sums_.size()) {
    if (with_gradient) gradient_ = at::zeros_like(rows);
  }

  Excess run() {
    for_cosine_tiles(rows_, blocks_, frozen_,
                     [&](std::int64_t i, std::int64_t j, at::Tensor& tile) { meet(i, j, tile); });
    if (gradient_.defined()) gradient_.narrow(0, 0, frozen_).zero_();
    return {std::accumulate(sums_.begin(), sums_.end(), 0.0),
            largest_.empty() ? 0.0 : *std::max_element(largest_.begin(), largest_.end()), gradient_};
  }

 private:
  void meet(std::int64_t i, std::int64_t j, at::Tensor& tile) {
    const auto place = static_cast<std::size_t>(i * blocks_.count + j);
    largest_[place] = largest_of<T>(tile);
    if (largest_[place] <= static_cast<double>(mu_)) return;
    const std::int64_t above = penalise(i, j, tile, sums_[place]);
    if (!gradient_.defined()) return;
    at::Tensor left = gradient_.narrow(0, blocks_.begin(i), blocks_.size(i));
    at::Tensor right = gradient_.narrow(0, blocks_.begin(j), blocks_.size(j));
    if (above > tile.numel() / kManyAbove) {
      add_tile_product(tile, rows_.narrow(0, blocks_.begin(j), blocks_.size(j)), left);
      if (i != j) add_tile_product(tile.t(), rows_.narrow(0, blocks_.begin(i), blocks_.size(i)), right);
    } else {
      pull(i, j, tile, left, right);
    }
  }

  /// Makes of each product the derivative of the pair's part of the sum, which is added to `sum`; returns how
  /// many are not zero. A pair stands in the sum once for each of its rows that is not frozen.
  std::int64_t penalise(std::int64_t i, std::int64_t j, at::Tensor& tile, double& sum) const {
    T* const data = tile.mutable_data_ptr<T>();
    std::int64_t above = 0;
    for (std::int64_t r = 0; r < tile.size(0); ++r) {
      const bool row_learns = blocks_.begin(i) + r >= frozen_;
      for (std::int64_t c = 0; c < tile.size(1); ++c) {
        T& product = data[r * tile.size(1) + c];
        const T excess = std::fabs(product) - mu_;
        if (!(excess > 0)) {
          product = 0;
          continue;
        }
        const T times = static_cast<T>(row_learns + (blocks_.begin(j) + c >= frozen_));
        // A diagonal tile has each pair twice.
        sum += (i == j ? 0.5 : 1.0) * static_cast<double>(times * excess * excess);
        product = std::copysign(2 * times * excess, product);
        ++above;
      }
    }
    return above;
  }

  /// Adds each listed pair's pull to both of its rows.
  void pull(std::int64_t i, std::int64_t j, const at::Tensor& tile, at::Tensor& left,
            at::Tensor& right) const {
    const std::int64_t d = rows_.size(1);
    const T* const from = tile.const_data_ptr<T>();
    const T* const rows = rows_.const_data_ptr<T>();
    T* const to_left = left.mutable_data_ptr<T>();
    T* const to_right = right.mutable_data_ptr<T>();
    std::vector<T> weights;
    std::vector<std::int32_t> others;
    for (std::int64_t r = 0; r < tile.size(0); ++r) {
      weights.clear();
      others.clear();
      const auto row = static_cast<std::int32_t>(blocks_.begin(i) + r);
      for (std::int64_t c = 0; c < tile.size(1); ++c) {
        const T weight = from[r * tile.size(1) + c];
        if (weight == 0) continue;
        weights.push_back(weight);
        others.push_back(static_cast<std::int32_t>(blocks_.begin(j) + c));
        if (i != j)
          best_kernels<T>().gather_sum(&weight, &row, 1, rows, d, to_right + c * d, to_right + c * d);
      }
      if (weights.empty()) continue;
      best_kernels<T>().gather_sum(weights.data(), others.data(), static_cast<std::int64_t>(weights.size()),
                                   rows, d, to_left + r * d, to_left + r * d);
    }
  }

  at::Tensor rows_;
  RowBlocks blocks_;
  T mu_;
  std::int64_t frozen_;
  std::vector<double> sums_;
  std::vector<double> largest_;
  at::Tensor gradient_;
};

/// Two rows and their |product|.
template <typename T>
struct ClosePair {
  T size;
  std::int32_t row;
  std::int32_t other;
};

/// The search for close pairs: each tile has a list of its own.
template <typename T>
class CloseSearch {
 public:
  CloseSearch(const at::Tensor& rows, double cut, std::int64_t limit)
      : rows_(rows),
        blocks_(rows.size(0)),
        cut_(static_cast<T>(cut)),
        most_(static_cast<std::size_t>(
            std::max(kFewest, limit / std::max<std::int64_t>(1, blocks_.count * (blocks_.count + 1) / 2)))),
        found_(static_cast<std::size_t>(blocks_.count * blocks_.count)),
        largest_(found_.size()),
        cut_short_(found_.size()) {}

  ClosePairs run(std::int64_t frozen) {
    for_cosine_tiles(rows_, blocks_, frozen, [&](std::int64_t i, std::int64_t j, const at::Tensor& tile) {
      const auto place = static_cast<std::size_t>(i * blocks_.count + j);
      largest_[place] = largest_of<T>(tile);
      if (largest_[place] <= static_cast<double>(cut_)) return;
      std::vector<ClosePair<T>>& pairs = found_[place];
      list(i, j, tile, pairs);
      if (pairs.size() <= most_) return;
      cut_short_[place] = 1;
      std::stable_sort(pairs.begin(), pairs.end(),
                       [](const auto& a, const auto& b) { return a.size > b.size; });
      pairs.resize(most_);
      pairs.shrink_to_fit();
    });
    return all();
  }

 private:
  static constexpr std::int64_t kFewest = 64;  ///< pairs of a tile

  void list(std::int64_t i, std::int64_t j, const at::Tensor& tile, std::vector<ClosePair<T>>& pairs) const {
    std::vector<std::int32_t> hits(static_cast<std::size_t>(tile.size(1)));
    for (std::int64_t r = 0; r < tile.size(0); ++r) {
      const T* const products = tile.const_data_ptr<T>() + r * tile.size(1);
      const std::int64_t count =
          best_kernels<T>().scan_absolute(products, tile.size(1), cut_, nullptr, hits.data());
      for (std::int64_t h = 0; h < count; ++h) {
        const std::int32_t c = hits[static_cast<std::size_t>(h)];
        const T size = std::fabs(products[c]);
        if ((i == j && c <= r) || !(size > cut_)) continue;
        pairs.push_back({size, static_cast<std::int32_t>(blocks_.begin(i) + r),
                         static_cast<std::int32_t>(blocks_.begin(j) + c)});
      }
    }
  }

  ClosePairs all() const {
    ClosePairs result;
    for (std::size_t tile = 0; tile < found_.size(); ++tile) {
      result.largest = std::max(result.largest, largest_[tile]);
      if (cut_short_[tile] != 0) result.complete = false;
      for (const ClosePair<T>& pair : found_[tile]) {
        result.row.push_back(pair.row);
        result.other.push_back(pair.other);
      }
    }
    return result;
  }

  at::Tensor rows_;
  RowBlocks blocks_;
  T cut_;
  std::size_t most_;
  std::vector<std::vector<ClosePair<T>>> found_;
  std::vector<double> largest_;
  std::vector<char> cut_short_;
};

}  // namespace

Excess find_excess(const at::Tensor& unit_rows, double mu, std::int64_t frozen, bool with_gradient) {
  return by_dtype(unit_rows, [&](auto zero) {
    return ExcessPass<decltype(zero)>(unit_rows, mu, frozen, with_gradient).run();
  });
}

ClosePairs close_pairs(const at::Tensor& unit_rows, double cut, std::int64_t frozen, std::int64_t limit) {
  return by_dtype(unit_rows,
                  [&](auto zero) { return CloseSearch<decltype(zero)>(unit_rows, cut, limit).run(frozen); });
}

}  // namespace detail

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr const char* kCoherenceExcess = "coherence_excess";

/// Value and gradient come from one pass, so that no tile is made twice.
struct CoherenceExcess final : torch::autograd::Function<CoherenceExcess> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& unit_rows, double mu,
                            std::int64_t frozen, bool with_gradient) {
    const at::Tensor rows = unit_rows.detach().contiguous();
    const detail::Excess excess = detail::find_excess(rows, mu, frozen, with_gradient);
    if (with_gradient) context->save_for_backward({excess.gradient});
    return at::scalar_tensor(excess.sum, rows.options());
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    detail::refuse_double_backward(kCoherenceExcess);
    return {context->get_saved_variables()[0] * gradients[0], {}, {}, {}};
  }
};

}  // namespace

double welch_bound(std::int64_t features, std::int64_t width) {
  if (features <= width || features < 2) return 0;
  const auto n = static_cast<double>(features);
  const auto d = static_cast<double>(width);
  return std::sqrt((n - d) / (d * (n - 1)));
}

at::Tensor coherence_excess(const at::Tensor& unit_rows, double mu, std::int64_t frozen_rows) {
  detail::check_floating(kCoherenceExcess, "unit_rows", unit_rows, 2);
  const bool with_gradient = unit_rows.requires_grad() && at::GradMode::is_enabled();
  return CoherenceExcess::apply(unit_rows, mu, frozen_rows, with_gradient);
}

}  // namespace regulon::ops
