#pragma once
/// What the operations share: checks with their messages, dispatch by dtype, loops over threads.

#include <ATen/Parallel.h>
#include <ATen/core/ivalue.h>
#include <regulon/codes.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "grain.h"

namespace regulon::ops::detail {

/// Throws RunError: `where` is the operation.
[[noreturn]] void fail(const std::string& where, const std::string& what, const std::string& expected,
                       const std::string& found, const std::string& hint = {});

/// "[4096, 384] float on cpu", or "nothing" for an undefined tensor.
std::string text_of(const at::Tensor& tensor);

/// Throws unless `tensor` is defined, float or double, on the CPU and of `dimensions` dimensions.
void check_floating(const std::string& where, const std::string& name, const at::Tensor& tensor,
                    std::int64_t dimensions);

/// Throws unless `tensor` has exactly this shape, and the dtype and device of `like`.
void check_like(const std::string& where, const std::string& name, const at::Tensor& tensor,
                at::IntArrayRef shape, const at::Tensor& like);

/// Throws unless `sizes` are of at least 1 and add up to `features`.
void check_block_sizes(const std::string& where, const std::vector<std::int64_t>& sizes,
                       std::int64_t features);

/// Calls work(float()) or work(double()), by the dtype of a tensor that check_floating let through.
template <typename Work>
decltype(auto) by_dtype(const at::Tensor& tensor, const Work& work) {
  return tensor.scalar_type() == at::kDouble ? work(double()) : work(float());
}

/// Calls work(begin, end) on pieces of [0, items) that hold about as many entries each; `offsets` [items + 1]
/// says where the entries of an item begin. No item is split, so that threads do not show in what is summed
/// over it.
template <typename Work>
void parallel_by_entries(const std::int64_t* offsets, std::int64_t items, std::int64_t entry_cost,
                         const Work& work) {
  // What an item costs by itself, in entries: writing its row.
  constexpr std::int64_t kOwnCost = 1;
  const std::int64_t total = offsets[items] - offsets[0] + kOwnCost * items;
  const std::int64_t pieces = pieces_for(total * entry_cost, at::get_num_threads());
  const auto boundary = [&](std::int64_t piece) {
    const std::int64_t target = total * piece / pieces;
    std::int64_t low = 0;
    std::int64_t high = items;
    while (low < high) {
      const std::int64_t middle = (low + high) / 2;
      if (offsets[middle] - offsets[0] + kOwnCost * middle < target) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  };
  at::parallel_for(0, pieces, 1, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t first = boundary(begin);
    const std::int64_t last = boundary(end);
    if (first < last) work(first, last);
  });
}

/// Something that a backward needs, carried by the autograd context.
template <typename T>
struct Carried final : torch::CustomClassHolder {
  explicit Carried(T carried) : value(std::move(carried)) {}
  T value;
};

template <typename T>
at::IValue carry(T value) {
  return at::IValue::make_capsule(c10::make_intrusive<Carried<T>>(std::move(value)));
}

/// What `carry` put into `packed`.
template <typename T>
T carried(const at::IValue& packed) {
  return c10::static_intrusive_pointer_cast<Carried<T>>(packed.toCapsule())->value;
}

/// Throws unless gradients of gradients are off: no operation here has them.
void refuse_double_backward(const std::string& where);

}  // namespace regulon::ops::detail
