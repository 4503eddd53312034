#include "core/plugin/elf_section.h"
#include <elf.h>
#include <fmt/format.h>

#include <cstdint>
#include <cstring>

namespace regulon::core {
namespace {

#if defined(__x86_64__)
constexpr Elf64_Half kMachine = EM_X86_64;
constexpr const char* kMachineName = "x86-64";
#elif defined(__aarch64__)
constexpr Elf64_Half kMachine = EM_AARCH64;
constexpr const char* kMachineName = "aarch64";
#else
#error "Regulon runs on x86-64 and aarch64"
#endif

/// Whether [offset, offset + size) lies within the file.
bool inside(std::string_view bytes, std::uint64_t offset, std::uint64_t size) {
  return offset <= bytes.size() && size <= bytes.size() - offset;
}

/// A record copied out of the file: the file's own bytes need not be aligned. The range must be inside.
template <class Record>
Record record_at(std::string_view bytes, std::uint64_t offset) {
  Record record;
  std::memcpy(&record, bytes.data() + offset, sizeof(Record));
  return record;
}

std::string cut_off(std::string_view bytes, std::string_view part, std::uint64_t offset, std::uint64_t size) {
  return fmt::format(
      "the file is cut off or damaged: its {} should be {} bytes at byte {}, but the file has {} bytes", part,
      size, offset, bytes.size());
}

/// Empty, or why the file's first bytes are not those of a library for this machine.
std::string header_problem(std::string_view bytes) {
  if (bytes.empty()) return "the file is empty";
  if (bytes.substr(0, SELFMAG) != std::string_view(ELFMAG, SELFMAG)) {
    return "it is not a shared library: it does not begin like an ELF file";
  }
  if (bytes.size() < sizeof(Elf64_Ehdr)) return cut_off(bytes, "ELF header", 0, sizeof(Elf64_Ehdr));
  const auto header = record_at<Elf64_Ehdr>(bytes, 0);
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
      header.e_machine != kMachine) {
    return fmt::format(
        "it is a library for another kind of machine (ELF class {}, machine {}); this one is 64-bit {}",
        header.e_ident[EI_CLASS], header.e_machine, kMachineName);
  }
  if (header.e_type != ET_DYN) {
    return fmt::format("it is an ELF file, but not a shared library (ELF type {})", header.e_type);
  }
  return {};
}

/// Empty, or which part that the loader would map is missing from the file.
std::string segment_problem(std::string_view bytes, const Elf64_Ehdr& header) {
  const std::uint64_t size = std::uint64_t{header.e_phnum} * sizeof(Elf64_Phdr);
  if (header.e_phnum == 0 || header.e_phentsize != sizeof(Elf64_Phdr))
    return "it has no program headers to load it by";
  if (!inside(bytes, header.e_phoff, size))
    return cut_off(bytes, "program header table", header.e_phoff, size);
  for (std::uint64_t i = 0; i < header.e_phnum; ++i) {
    const auto segment = record_at<Elf64_Phdr>(bytes, header.e_phoff + i * sizeof(Elf64_Phdr));
    if (segment.p_type == PT_LOAD && !inside(bytes, segment.p_offset, segment.p_filesz)) {
      return cut_off(bytes, fmt::format("segment {}", i), segment.p_offset, segment.p_filesz);
    }
  }
  return {};
}

/// The section headers and the table of their names, checked to lie within the file.
struct SectionTable {
  std::string_view bytes;
  Elf64_Ehdr header{};
  std::string_view names;

  Elf64_Shdr section(std::uint64_t index) const {
    return record_at<Elf64_Shdr>(bytes, header.e_shoff + index * sizeof(Elf64_Shdr));
  }
  /// The section's name; empty if it points outside the table.
  std::string_view name_of(const Elf64_Shdr& section) const {
    if (section.sh_name >= names.size()) return {};
    const std::string_view rest = names.substr(section.sh_name);
    return rest.substr(0, rest.find('\0'));
  }
};

/// Fills in `table`; returns a problem or nothing.
std::string read_section_table(std::string_view bytes, const Elf64_Ehdr& header, SectionTable& table) {
  const std::uint64_t size = std::uint64_t{header.e_shnum} * sizeof(Elf64_Shdr);
  if (header.e_shnum == 0 || header.e_shentsize != sizeof(Elf64_Shdr)) return "it has no section headers";
  if (!inside(bytes, header.e_shoff, size))
    return cut_off(bytes, "section header table", header.e_shoff, size);
  if (header.e_shstrndx >= header.e_shnum) {
    return fmt::format("it is damaged: section {} should hold the section names, but there are {} sections",
                       header.e_shstrndx, header.e_shnum);
  }
  table = {bytes, header, {}};
  const Elf64_Shdr names = table.section(header.e_shstrndx);
  if (names.sh_type != SHT_STRTAB) return "it is damaged: its table of section names is of another type";
  if (!inside(bytes, names.sh_offset, names.sh_size)) {
    return cut_off(bytes, "table of section names", names.sh_offset, names.sh_size);
  }
  table.names = bytes.substr(names.sh_offset, names.sh_size);
  return {};
}

}  // namespace

ElfSection find_elf_section(std::string_view bytes, std::string_view name) {
  if (std::string problem = header_problem(bytes); !problem.empty()) return {{}, std::move(problem)};
  const auto header = record_at<Elf64_Ehdr>(bytes, 0);
  if (std::string problem = segment_problem(bytes, header); !problem.empty()) return {{}, std::move(problem)};
  SectionTable table;
  if (std::string problem = read_section_table(bytes, header, table); !problem.empty()) {
    return {{}, std::move(problem)};
  }
  for (std::uint64_t i = 0; i < header.e_shnum; ++i) {
    const Elf64_Shdr section = table.section(i);
    if (table.name_of(section) != name) continue;
    if (section.sh_type == SHT_NOBITS || (section.sh_flags & SHF_COMPRESSED) != 0) {
      return {
          {},
          fmt::format("its section {} is stored in a way that cannot be read (empty or compressed)", name)};
    }
    if (!inside(bytes, section.sh_offset, section.sh_size)) {
      return {{}, cut_off(bytes, fmt::format("section {}", name), section.sh_offset, section.sh_size)};
    }
    return {std::string(bytes.substr(section.sh_offset, section.sh_size)), {}};
  }
  return {};
}

}  // namespace regulon::core
