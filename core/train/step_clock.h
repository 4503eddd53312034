#pragma once
/// What the parts of a training step take.

#include <array>
#include <chrono>
#include <cstddef>

namespace regulon::core {

/// The parts of a step, in the order in which they are done.
enum class Phase { encode, decode, terms, backward, optimiser, statistics, report };
inline constexpr std::array<const char*, 7> kPhaseNames = {
    "encode", "decode", "loss terms", "backward", "optimiser", "statistics", "report"};

/// Adds up seconds by phase. A trainer that was given one reads it after every part of a step.
class StepClock {
 public:
  /// What passed since before the first part does not count.
  void start() { last_ = Clock::now(); }
  /// What passed since the last call belongs to `phase`.
  void lap(Phase phase) {
    const auto now = Clock::now();
    seconds_.at(static_cast<std::size_t>(phase)) += std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }
  double seconds(Phase phase) const { return seconds_.at(static_cast<std::size_t>(phase)); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last_;
  std::array<double, kPhaseNames.size()> seconds_{};
};

}  // namespace regulon::core
