#include "core/io/vocabulary.h"

#include <fmt/format.h>
#include <regulon/error.h>

#include <fstream>

namespace regulon::core {

Vocabulary::Vocabulary(const std::filesystem::path& path) {
  std::ifstream stream(path);
  for (std::string line; std::getline(stream, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    words_.push_back(line);
  }
  if (!words_.empty()) return;
  const bool there = std::filesystem::is_regular_file(path);
  throw InputError({path.string(), there ? "holds no tokens" : "cannot be read",
                    "a text file whose line i, from 0, is token i", there ? "an empty file" : "none",
                    "check the path"});
}

std::string Vocabulary::text(std::int64_t token) const {
  if (words_.empty()) return fmt::format("token {}", token);
  const bool known = token >= 0 && token < static_cast<std::int64_t>(words_.size());
  return known ? words_[static_cast<std::size_t>(token)] : fmt::format("token {} (not in --vocab)", token);
}

}  // namespace regulon::core
