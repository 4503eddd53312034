#include "core/train/environment.h"

#include <ATen/Parallel.h>
#include <regulon/error.h>
#include <regulon/plugin.h>
#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

namespace regulon::core {
namespace {

constexpr std::int64_t kWorthThreads = 1 << 25;  ///< multiply-adds: below a millisecond on one core

std::int64_t usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

std::string processor_name() {
  std::ifstream stream("/proc/cpuinfo");
  for (std::string line; std::getline(stream, line);) {
    const auto colon = line.find(':');
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

}  // namespace

std::int64_t usable_threads() {
  const char* variable = std::getenv("OMP_NUM_THREADS");
  const std::int64_t asked = variable == nullptr ? 0 : std::strtoll(variable, nullptr, 10);
  return asked > 0 ? std::min(asked, usable_cores()) : usable_cores();
}

nlohmann::json versions() {
  return {{"regulon", REGULON_VERSION}, {"sdk", REGULON_SDK_REVISION}, {"torch", REGULON_TORCH_VERSION}};
}

nlohmann::json environment() { return {{"processor", processor_name()}, {"threads", at::get_num_threads()}}; }

void use_device(const std::string& device) {
  if (device == "auto" || device == "cpu") return;
  throw InputError({"[run] device", "this program runs on the processor only", "cpu or auto", device,
                    "set device = \"cpu\""});
}

void use_threads(std::int64_t threads, std::int64_t multiply_adds) {
  const std::int64_t automatic = multiply_adds < kWorthThreads ? 1 : usable_threads();
  at::set_num_threads(static_cast<int>(threads > 0 ? threads : automatic));
}

Prefetcher::Making batch_making() {
  return usable_cores() > at::get_num_threads() ? Prefetcher::Making::ahead : Prefetcher::Making::when_asked;
}

}  // namespace regulon::core
