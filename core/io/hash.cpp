#include "core/io/hash.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <new>
#include <system_error>

#include "core/io/mapped_file.h"

namespace regulon::core {

void Hasher::Free::operator()(XXH3_state_s* state) const { XXH3_freeState(state); }

Hasher::Hasher() : state_(XXH3_createState()) {
  if (!state_ || XXH3_128bits_reset(state_.get()) != XXH_OK) throw std::bad_alloc();
}

void Hasher::update(std::span<const std::byte> bytes) {
  // Fails only for a null pointer, which an empty span may hold.
  if (!bytes.empty()) XXH3_128bits_update(state_.get(), bytes.data(), bytes.size());
}

void Hasher::update(std::string_view text) { update(std::as_bytes(std::span(text.data(), text.size()))); }

void Hasher::update(std::uint64_t number) {
  std::array<std::byte, 8> bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::byte>((number >> (8 * i)) & 0xff);
  update(std::span<const std::byte>(bytes));
}

std::string Hasher::hex() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_.get()));
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : canonical.digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string hash_text(std::string_view text) {
  Hasher hasher;
  hasher.update(text);
  return hasher.hex();
}

std::string hash_file(const std::filesystem::path& path) {
  // Any failure here (a missing file, a folder) is left to MappedFile, which says it properly.
  std::error_code ignored;
  if (std::filesystem::is_regular_file(path, ignored) && std::filesystem::file_size(path, ignored) == 0) {
    return hash_text("");
  }
  const MappedFile file(path);
  constexpr std::size_t kChunk = 4 << 20;
  Hasher hasher;
  for (std::size_t offset = 0; offset < file.size(); offset += kChunk) {
    hasher.update(file.bytes().subspan(offset, std::min(kChunk, file.size() - offset)));
    file.drop(offset, kChunk);
  }
  return hasher.hex();
}

}  // namespace regulon::core
