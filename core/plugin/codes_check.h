#pragma once
/// Checks what an encoder returned before anything reads memory by it.

#include <regulon/codes.h>
#include <regulon/error.h>

#include <cstdint>

namespace regulon::core {

/// What the codes of a batch have to be.
struct CodesExpected {
  std::int64_t rows = 0;
  std::int64_t features = 0;
  at::ScalarType dtype;
  at::Device device;
};

/// The first thing wrong with `codes`: rows, features, dtype, device; then, for sparse codes, row offsets
/// (from 0 to `entries`, not falling) and ids (within [0, n), ascending in each row), since a wrong one would
/// have others read foreign memory; then, if `values_too`, that every value is finite. `what` is empty if all
/// is well. The contents of tensors on another device than the CPU are looked at only if `values_too`,
/// because that waits for the device. Costs one pass over the ids.
Problem check_codes(const Codes& codes, const CodesExpected& expected, bool values_too);

}  // namespace regulon::core
