#include "core/io/event_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <fstream>

#include "core/io/atomic_file.h"

namespace regulon::core {
namespace {

constexpr std::uint32_t kCastagnoli = 0x82f63b78;  ///< the polynomial, bits reversed
constexpr std::uint32_t kMask = 0xa282ead8;        ///< added to a rotated CRC: see TensorFlow's crc32c.h

constexpr std::array<std::uint32_t, 256> crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t rest = i;
    for (int bit = 0; bit < 8; ++bit) rest = (rest & 1U) != 0 ? (rest >> 1U) ^ kCastagnoli : rest >> 1U;
    table[i] = rest;
  }
  return table;
}
constexpr std::array<std::uint32_t, 256> kTable = crc_table();

/// The lowest bytes of `value`, the least significant first.
std::string little_endian(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>((value >> (8 * i)) & 0xffU);
  return text;
}

std::string masked_crc(std::string_view bytes) {
  const std::uint32_t crc = crc32c(bytes);
  return little_endian(((crc >> 15U) | (crc << 17U)) + kMask, 4);
}

// Protocol buffers: a field is its number and kind, then its value.
enum class Wire { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

std::string varint(std::uint64_t value) {
  std::string text;
  for (; value >= 0x80U; value >>= 7U) text += static_cast<char>((value & 0x7fU) | 0x80U);
  return text + static_cast<char>(value);
}

std::string field_head(int number, Wire wire) {
  return varint(static_cast<std::uint64_t>(number) << 3U | static_cast<std::uint64_t>(wire));
}

std::string bytes_field(int number, std::string_view bytes) {
  return field_head(number, Wire::bytes) + varint(bytes.size()) + std::string(bytes);
}

std::string varint_field(int number, std::uint64_t value) {
  return field_head(number, Wire::varint) + varint(value);
}

std::string double_field(int number, double value) {
  return field_head(number, Wire::fixed64) + little_endian(std::bit_cast<std::uint64_t>(value), 8);
}

std::string float_field(int number, double value) {
  return field_head(number, Wire::fixed32) +
         little_endian(std::bit_cast<std::uint32_t>(static_cast<float>(value)), 4);
}

/// Field numbers of TensorFlow's event.proto and summary.proto.
std::string event(double wall_time, std::int64_t step) {
  std::string text = double_field(1, wall_time);
  if (step != 0) text += varint_field(2, static_cast<std::uint64_t>(step));
  return text;
}

double seconds_since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const char c : bytes) crc = (crc >> 8U) ^ kTable[(crc ^ static_cast<unsigned char>(c)) & 0xffU];
  return crc ^ 0xffffffffU;
}

std::string tf_record(std::string_view payload) {
  const std::string length = little_endian(payload.size(), 8);
  return length + masked_crc(length) + std::string(payload) + masked_crc(payload);
}

std::string scalar_event(double wall_time, std::int64_t step, const Scalars& scalars) {
  std::string summary;
  for (const auto& [tag, value] : scalars)
    summary += bytes_field(1, bytes_field(1, tag) + float_field(2, value));
  return event(wall_time, step) + bytes_field(5, summary);
}

std::string version_event(double wall_time) { return event(wall_time, 0) + bytes_field(3, "brain.Event:2"); }

std::string start_event(double wall_time, std::int64_t step) {
  constexpr std::uint64_t kStart = 1;
  return event(wall_time, step) + bytes_field(7, varint_field(1, kStart));
}

EventFile::EventFile(std::filesystem::path folder, std::int64_t first_step)
    : folder_(std::move(folder)), first_step_(first_step) {}

void EventFile::append(std::int64_t step, const Scalars& scalars) {
  const double now = seconds_since_1970();
  std::string records;
  if (path_.empty()) {
    // Files are read in the order of their names.
    path_ = folder_ / fmt::format("{}{:010.0f}.{:09}.{}", kEventFile, now, first_step_, ::getpid());
    records = tf_record(version_event(now)) + tf_record(start_event(now, first_step_ + 1));
  }
  records += tf_record(scalar_event(now, step, scalars));
  errno = 0;
  std::ofstream stream(path_, std::ios::app | std::ios::binary);
  stream << records << std::flush;
  if (!stream) fail_on_path(path_, "cannot be written", errno);
}

}  // namespace regulon::core
