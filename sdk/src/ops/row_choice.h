#pragma once
/// Some of the rows of a matrix.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace regulon::ops::detail {

/// Throws RunError unless `rows` is undefined, or [s] int64 with numbers from 0 to n - 1 that ascend.
void check_row_choice(const std::string& where, const at::Tensor& rows, std::int64_t n);

/// Throws RunError unless `ids` is [pairs] int64 with numbers from 0 to n - 1.
void check_pair_ids(const std::string& where, const std::string& name, const at::Tensor& ids,
                    std::int64_t pairs, std::int64_t n);

/// [n]: the rows chosen, then all others, both ascending.
at::Tensor chosen_first(const at::Tensor& rows, std::int64_t n);

}  // namespace regulon::ops::detail
