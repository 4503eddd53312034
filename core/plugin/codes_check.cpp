#include "core/plugin/codes_check.h"
#include <ATen/ops/isfinite.h>
#include <fmt/format.h>

namespace regulon::core {
namespace {

constexpr const char* kMend = "Mend the plugin's encode(), or make the codes with ops::select_product";

Problem wrong(std::string what, std::string expected, std::string found) {
  return {{}, std::move(what), std::move(expected), std::move(found), kMend};
}

std::string dtype_name(at::ScalarType dtype) { return c10::toString(dtype); }

Problem check_form(const Codes& codes, const CodesExpected& expected) {
  if (codes.rows() != expected.rows) {
    return wrong("its codes have the wrong number of rows", std::to_string(expected.rows),
                 std::to_string(codes.rows()));
  }
  if (codes.features() != expected.features) {
    return wrong("its codes have the wrong number of features", std::to_string(expected.features),
                 std::to_string(codes.features()));
  }
  const at::Tensor& values = codes.is_sparse() ? codes.values() : codes.to_dense();
  if (values.device() != expected.device) {
    return wrong("its codes are on the wrong device", expected.device.str(), values.device().str());
  }
  if (values.scalar_type() != expected.dtype) {
    return wrong("its codes have the wrong dtype", dtype_name(expected.dtype),
                 dtype_name(values.scalar_type()));
  }
  return {};
}

Problem check_devices(const Codes& codes, const CodesExpected& expected) {
  for (const at::Tensor* part : {&codes.row_offsets(), &codes.feature_ids()}) {
    if (part->device() != expected.device) {
      return wrong("its codes' row offsets or feature ids are on the wrong device", expected.device.str(),
                   part->device().str());
    }
  }
  return {};
}

Problem check_offsets(const std::int64_t* offsets, std::int64_t rows, std::int64_t entries) {
  if (offsets[0] != 0) {
    return wrong("its codes' row offsets do not begin at 0", "0", std::to_string(offsets[0]));
  }
  for (std::int64_t row = 0; row < rows; ++row) {
    if (offsets[row + 1] < offsets[row]) {
      return wrong("its codes' row offsets fall", fmt::format("at least {} after row {}", offsets[row], row),
                   std::to_string(offsets[row + 1]));
    }
  }
  if (offsets[rows] != entries) {
    return wrong("its codes' row offsets do not end at the number of entries", std::to_string(entries),
                 std::to_string(offsets[rows]));
  }
  return {};
}

/// The ids of one row: if they ascend and the ends are in range, all are.
Problem check_row(const std::int32_t* ids, std::int64_t count, std::int64_t features, std::int64_t row) {
  if (count == 0) return {};
  for (std::int64_t i = 1; i < count; ++i) {
    if (ids[i] <= ids[i - 1]) {
      return wrong("its codes' feature ids do not ascend",
                   fmt::format("an id above {} in row {}", ids[i - 1], row), std::to_string(ids[i]));
    }
  }
  const std::int32_t outside = ids[0] < 0 ? ids[0] : ids[count - 1];
  if (ids[0] < 0 || outside >= features) {
    return wrong("its codes have a feature id out of range",
                 fmt::format("ids from 0 to {} in row {}", features - 1, row), std::to_string(outside));
  }
  return {};
}

Problem check_structure(const Codes& codes) {
  const at::Tensor row_offsets = codes.row_offsets().to(at::kCPU).contiguous();
  const at::Tensor feature_ids = codes.feature_ids().to(at::kCPU).contiguous();
  const auto* offsets = row_offsets.const_data_ptr<std::int64_t>();
  const auto* ids = feature_ids.const_data_ptr<std::int32_t>();
  Problem problem = check_offsets(offsets, codes.rows(), feature_ids.numel());
  for (std::int64_t row = 0; problem.what.empty() && row < codes.rows(); ++row) {
    problem = check_row(ids + offsets[row], offsets[row + 1] - offsets[row], codes.features(), row);
  }
  return problem;
}

}  // namespace

Problem check_codes(const Codes& codes, const CodesExpected& expected, bool values_too) {
  Problem problem = check_form(codes, expected);
  if (problem.what.empty() && codes.is_sparse()) {
    problem = check_devices(codes, expected);
    if (problem.what.empty() && (values_too || expected.device.is_cpu())) problem = check_structure(codes);
  }
  if (!problem.what.empty() || !values_too) return problem;
  const at::Tensor values = (codes.is_sparse() ? codes.values() : codes.to_dense()).detach();
  if (!at::isfinite(values).all().item<bool>()) {
    return wrong("its codes are not finite", "finite values", "NaN or infinity");
  }
  return {};
}

}  // namespace regulon::core
