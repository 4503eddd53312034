#include "ops/row_choice.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include "ops/support.h"

namespace regulon::ops::detail {

void check_row_choice(const std::string& where, const at::Tensor& rows, std::int64_t n) {
  if (!rows.defined()) return;
  bool fits = rows.dim() == 1 && rows.scalar_type() == at::kLong && rows.device().is_cpu();
  if (fits) {
    const at::Tensor ids = rows.contiguous();
    const auto* const id = ids.const_data_ptr<std::int64_t>();
    std::int64_t before = -1;
    for (std::int64_t i = 0; fits && i < ids.size(0); before = id[i++]) fits = id[i] > before && id[i] < n;
  }
  if (fits) return;
  fail(where, "cannot use the choice of rows",
       "[rows] Long on the CPU, ascending, from 0 to " + std::to_string(n - 1), text_of(rows));
}

void check_pair_ids(const std::string& where, const std::string& name, const at::Tensor& ids,
                    std::int64_t pairs, std::int64_t n) {
  if (!ids.defined() || ids.dim() != 1 || ids.size(0) != pairs || ids.scalar_type() != at::kLong ||
      !ids.device().is_cpu()) {
    fail(where, "cannot use " + name, fmt::format("[{}] Long on the CPU", pairs), text_of(ids));
  }
  if (pairs == 0) return;
  const auto least = ids.min().item<std::int64_t>();
  const auto most = ids.max().item<std::int64_t>();
  if (least >= 0 && most < n) return;
  fail(where, "cannot use " + name, fmt::format("rows from 0 to {}", n - 1),
       fmt::format("{} to {}", least, most));
}

at::Tensor chosen_first(const at::Tensor& rows, std::int64_t n) {
  const at::Tensor ids = rows.contiguous();
  const auto* const id = ids.const_data_ptr<std::int64_t>();
  const std::int64_t chosen = ids.size(0);
  at::Tensor order = at::empty({n}, at::kLong);
  auto* const to = order.mutable_data_ptr<std::int64_t>();
  std::int64_t next = 0;
  std::int64_t other = chosen;
  for (std::int64_t row = 0; row < n; ++row) {
    if (next < chosen && id[next] == row) {
      to[next++] = row;
    } else {
      to[other++] = row;
    }
  }
  return order;
}

}  // namespace regulon::ops::detail
