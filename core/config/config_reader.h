#pragma once
/// From a document to a config.

#include "core/config/config.h"
#include "core/config/document.h"

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace regulon::core {

/// What a run may be called: this many characters at most, see [run] name.
inline constexpr std::size_t kLongestRunName = 100;

/// A choice of a config as messages speak of it.
struct Party {
  std::string who;  ///< "encoder 'linear'", "loss term 'neighbours'"
  const Choice* choice = nullptr;
  doc::Place place;
};

/// Whether a config may say `loss = []`: only that of a run which is there already and was not trained.
enum class EmptyLoss { refused, allowed };

/// A config's document, and the file that paths in it are relative to.
struct OpenedDocument {
  doc::Table document;
  std::filesystem::path file;
};

/// Reads TOML, or a run's manifest, or the "config" of one. Throws InputError if it is neither; what else is
/// wrong is added to `problems`.
OpenedDocument open_document(const std::filesystem::path& file, doc::Problems& problems);

/// Reads all sections of `document`; everything wrong in it is added to `problems`, in which case the result
/// is of no use.
Config read_config(const doc::Table& document, Catalogue& catalogue, doc::Problems& problems,
                   EmptyLoss empty_loss = EmptyLoss::refused);

/// The same with where it came from: relative paths in it are relative to the folder of `file`. Throws
/// InputError with all of `problems`, those of before included.
Config checked_config(const doc::Table& document, const std::filesystem::path& file, Catalogue& catalogue,
                      doc::Problems& problems, EmptyLoss empty_loss = EmptyLoss::refused);

/// Makes an object of every party and adds to `problems` every need of theirs that neither the core nor
/// `providers` (encoder and activation) provide, with who would provide it.
void check_needs(const std::vector<Party>& parties, const std::vector<Party>& providers, Catalogue& catalogue,
                 doc::Problems& problems);

/// Checks values of `config` that only make sense together; `document` tells where they were written.
void check_together(const Config& config, const doc::Table& document, doc::Problems& problems);

}  // namespace regulon::core
