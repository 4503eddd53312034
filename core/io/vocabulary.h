#pragma once
/// What token ids stand for.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace regulon::core {

/// The tokens' texts. Without any, tokens are told by number.
class Vocabulary {
 public:
  Vocabulary() = default;
  /// Reads a text file whose line i, from 0, is token i. Throws InputError if it cannot be read or has no
  /// line.
  explicit Vocabulary(const std::filesystem::path& path);
  bool empty() const { return words_.empty(); }
  /// "the", "token 1996" without a vocabulary, "token 99999 (not in --vocab)" beyond it.
  std::string text(std::int64_t token) const;

 private:
  std::vector<std::string> words_;
};

}  // namespace regulon::core
