#pragma once
/// Toy data to disk, for other programs and for the source "files".

#include <cstdint>
#include <filesystem>

#include "core/data/source.h"

namespace regulon::core {

/// Writes the first `rows` rows of the source's training stream as train-00000.safetensors, … (`activations`
/// [rows, d] float32, 64 MiB a file) and its true features as features.safetensors (`features` [n_true, d]
/// float32) into a new folder, which appears whole or not at all. `source` must be open. Throws InputError if
/// the folder exists, rows is not above zero, or the source knows no true features; RunError if the disk
/// refuses.
void write_toy(Source& source, std::int64_t rows, const std::filesystem::path& folder);

}  // namespace regulon::core
