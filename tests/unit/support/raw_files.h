#pragma once
/// Data files made byte by byte, without the code under test.

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace regulon::tests {

/// `value`'s `count` lowest bytes, lowest first.
inline std::string little_endian(std::uint64_t value, int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i) bytes += static_cast<char>((value >> (8 * i)) & 0xff);
  return bytes;
}

/// The bytes of float32 numbers.
inline std::string float_bytes(const std::vector<float>& values) {
  std::string bytes;
  for (const float value : values) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    bytes += little_endian(bits, 4);
  }
  return bytes;
}

/// The bytes of 16-bit words, as float16 and bfloat16 are stored.
inline std::string word_bytes(const std::vector<std::uint16_t>& words) {
  std::string bytes;
  for (const std::uint16_t word : words) bytes += little_endian(word, 2);
  return bytes;
}

/// A safetensors file of a header and data.
inline std::string safetensors_bytes(const std::string& header, const std::string& data) {
  return little_endian(header.size(), 8) + header + data;
}

/// A safetensors file with one float32 matrix, row after row.
inline std::string matrix_file(const std::string& name, std::int64_t rows, std::int64_t width,
                               const std::vector<float>& values) {
  const std::string data = float_bytes(values);
  const std::string header = "{\"" + name + "\":{\"dtype\":\"F32\",\"shape\":[" + std::to_string(rows) + "," +
                             std::to_string(width) + "],\"data_offsets\":[0," + std::to_string(data.size()) +
                             "]}}";
  return safetensors_bytes(header, data);
}

/// An npy file of version `major`.0 as NumPy lays it out: the header padded with spaces to 64 bytes, ended by
/// a newline.
inline std::string npy_bytes(const std::string& dict, const std::string& data, int major = 1) {
  const int length_bytes = major == 1 ? 2 : 4;
  std::string header = dict;
  while ((8 + static_cast<std::size_t>(length_bytes) + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  return std::string("\x93NUMPY") + static_cast<char>(major) + '\0' +
         little_endian(header.size(), length_bytes) + header + data;
}

}  // namespace regulon::tests
