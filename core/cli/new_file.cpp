#include "core/cli/new_file.h"

#include <regulon/error.h>

namespace regulon::cli {

void require_new_file(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;  // what cannot be looked at cannot be written either, and is told then
  const fs::file_status there = fs::symlink_status(path, ignored);
  if (path.empty() || !fs::exists(there)) return;
  if (path.extension() == ".html" && fs::is_regular_file(there)) return;
  throw InputError({path.string(), "exists already", "a file that is not there yet",
                    fs::is_directory(there) ? "a folder" : "a file, which would be lost",
                    "name another, or remove it first"});
}

}  // namespace regulon::cli
