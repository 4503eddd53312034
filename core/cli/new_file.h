#pragma once
/// Files that a verb is asked to write.

#include <filesystem>

namespace regulon::cli {

/// Throws InputError if something is at `path` already: what is there may be a run's weights, or the data. An
/// empty path asks for nothing. A report may take the place of another: files that end in .html pass.
void require_new_file(const std::filesystem::path& path);

}  // namespace regulon::cli
