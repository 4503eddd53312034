#pragma once
/// Files of torch.save that hold a dictionary of tensors.

#include <filesystem>

#include "core/io/named_tensors.h"

namespace regulon::core {

/// The tensors of `path`, each with the strides it was saved with, on the CPU. Nothing in the file can run:
/// see checked_pickle; and no tensor reaches beyond the bytes that were saved for it. Throws InputError for
/// anything that is not a whole, plain dictionary of dense tensors.
NamedTensors read_torch_archive(const std::filesystem::path& path);

/// Writes `tensors` as torch.save writes a dictionary of them, atomically: `torch.load` reads it with its
/// default, weights_only. Throws RunError if it cannot be written.
void write_torch_archive(const std::filesystem::path& path, const NamedTensors& tensors);

}  // namespace regulon::core
