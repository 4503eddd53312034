#pragma once
/// XXH3, 128 bits: tells data and plugins apart. Not meant to withstand an attacker.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct XXH3_state_s;

namespace regulon::core {

/// Hashes a stream of bytes; the pieces in which they come do not matter.
class Hasher {
 public:
  Hasher();

  void update(std::span<const std::byte> bytes);
  void update(std::string_view text);
  /// The eight bytes of `number`, lowest first.
  void update(std::uint64_t number);
  /// The hash of everything so far: 32 hex digits, in the customary (big-endian) order.
  std::string hex() const;

 private:
  struct Free {
    void operator()(XXH3_state_s* state) const;
  };
  std::unique_ptr<XXH3_state_s, Free> state_;
};

/// The hash of a text.
std::string hash_text(std::string_view text);
/// The hash of a file's contents. Throws InputError if it cannot be read; an empty file has a hash too.
std::string hash_file(const std::filesystem::path& path);

}  // namespace regulon::core
