#pragma once
/// The machine and the libraries under a run.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "core/data/prefetcher.h"

namespace regulon::core {

/// What a manifest holds to tell versions apart: Regulon's, the SDK's revision, LibTorch's.
nlohmann::json versions();
/// Where a run ran, for the record: processor, threads. Not part of a run's identity.
nlohmann::json environment();

/// Settles [run] device. Throws InputError if this program cannot run on it.
void use_device(const std::string& device);
/// Threads that a run may use unless its config says otherwise: one per core that this process may use, or
/// what OMP_NUM_THREADS says if that is less.
std::int64_t usable_threads();
/// Sets the number of threads of every parallel region. 0 means `usable_threads`, but a
/// single one if a step's encoder product, `multiply_adds`, is so small that threads would wait for each
/// other most of the time.
void use_threads(std::int64_t threads, std::int64_t multiply_adds);
/// Ahead if this process may use a core that parallel regions leave free.
Prefetcher::Making batch_making();

}  // namespace regulon::core
