#pragma once
/// Event files as TensorBoard reads them: records of TensorFlow's framing, each a protocol buffer `Event`.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace regulon::core {

/// CRC-32C (Castagnoli) of `bytes`.
std::uint32_t crc32c(std::string_view bytes);

/// `payload` as a record: its length and its bytes, each with a masked CRC-32C.
std::string tf_record(std::string_view payload);

/// Figures by tag.
using Scalars = std::vector<std::pair<std::string, double>>;

/// An `Event` with a `Summary` of simple values, in single precision; `wall_time` in seconds since 1970.
std::string scalar_event(double wall_time, std::int64_t step, const Scalars& scalars);
/// The first event of a file.
std::string version_event(double wall_time);
/// The event that says: what other files hold of `step` and later is superseded by this one.
std::string start_event(double wall_time, std::int64_t step);

/// The events of one process's training, appended to a file of its own in a run's folder: nothing is made
/// before the first figures come, and what earlier processes wrote stays as it is.
class EventFile {
 public:
  /// For a process that begins at `first_step`.
  EventFile(std::filesystem::path folder, std::int64_t first_step);
  /// Appends figures of `step` and hands them to the system. Throws RunError when they cannot be written.
  void append(std::int64_t step, const Scalars& scalars);

 private:
  std::filesystem::path folder_;
  std::int64_t first_step_;
  std::filesystem::path path_;  ///< empty before the first figures
};

/// What names of event files begin with.
inline constexpr std::string_view kEventFile = "events.out.tfevents.";

}  // namespace regulon::core
