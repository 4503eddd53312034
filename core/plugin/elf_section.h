#pragma once
/// The content of one named section of a shared library, read from the file's bytes: nothing is loaded or
/// run.

#include <optional>
#include <string>
#include <string_view>

namespace regulon::core {

/// What looking for a section gave.
struct ElfSection {
  std::optional<std::string> content;  ///< the section's bytes; empty if it is not there or `problem` is set
  std::string problem;  ///< why `bytes` are no library that this machine could load; empty if they are one
};

/// Finds section `name` in `bytes`, the whole file of a 64-bit ELF shared library for this machine.
///
/// Every offset and size is checked against the file's length before it is used, so a truncated or hostile
/// file gives a problem, never a crash; so does one whose loadable segments reach past the file's end, which
/// the loader would map and then die on. Format: System V ABI, chapters 4 and 5 (ELF-64).
ElfSection find_elf_section(std::string_view bytes, std::string_view name);

}  // namespace regulon::core
