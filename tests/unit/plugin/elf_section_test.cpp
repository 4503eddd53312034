#include "core/plugin/elf_section.h"

#include <elf.h>

#include <cstring>

#include "tests/unit/plugin/bad_plugins.h"

namespace regulon::core::testing {
namespace {

std::string a_library() { return read_bytes(bad_folder("no_entry") / "no_entry.so"); }

TEST(ElfSection, GivesTheBytesOfTheSection) {
  const ElfSection section = find_elf_section(a_library(), ".regulon");
  ASSERT_EQ(section.problem, "");
  ASSERT_TRUE(section.content.has_value());
  EXPECT_EQ(section.content->rfind("regulon-manifest\nsdk=1\ninterface=loss_term/1\nname=no_entry\n", 0), 0U)
      << *section.content;
}

TEST(ElfSection, TellsAMissingSectionFromAnUnfitFile) {
  const ElfSection missing = find_elf_section(a_library(), ".regulo");
  EXPECT_EQ(missing.problem, "");
  EXPECT_FALSE(missing.content.has_value());
  EXPECT_NE(find_elf_section("", ".regulon").problem, "");
  EXPECT_NE(find_elf_section("a text", ".regulon").problem, "");
}

TEST(ElfSection, RefusesEveryTruncation) {
  const std::string whole = a_library();
  ASSERT_GT(whole.size(), 4096U);
  for (std::size_t length = 0; length < whole.size(); length += length < 256 ? 1 : 61) {
    EXPECT_NE(find_elf_section(whole.substr(0, length), ".regulon").problem, "")
        << "cut to " << length << " bytes";
  }
  EXPECT_EQ(find_elf_section(whole, ".regulon").problem, "");
}

TEST(ElfSection, RefusesAProgramAndAnotherMachine) {
  std::string program = a_library();
  program[offsetof(Elf64_Ehdr, e_type)] = ET_EXEC;
  EXPECT_NE(find_elf_section(program, ".regulon").problem.find("not a shared library"), std::string::npos);
  std::string foreign = a_library();
  foreign[offsetof(Elf64_Ehdr, e_machine)] = EM_SPARC;
  EXPECT_NE(find_elf_section(foreign, ".regulon").problem.find("another kind of machine"), std::string::npos);
}

/// Damaged offsets, sizes and counts must lead to a problem or to bytes from within the file, never outside
/// it: the run under the address sanitizer is what makes this test sharp.
TEST(ElfSection, SurvivesDamagedHeaders) {
  const std::string whole = a_library();
  Elf64_Ehdr header;
  std::memcpy(&header, whole.data(), sizeof header);
  std::vector<std::size_t> places;
  const auto add_range = [&](std::size_t begin, std::size_t size) {
    for (std::size_t i = begin; i < begin + size; ++i) places.push_back(i);
  };
  add_range(EI_NIDENT, sizeof header - EI_NIDENT);
  add_range(header.e_phoff, header.e_phnum * sizeof(Elf64_Phdr));
  add_range(header.e_shoff, header.e_shnum * sizeof(Elf64_Shdr));
  std::size_t refused = 0;
  for (const std::size_t place : places) {
    for (const int damage : {0x01, 0x80, 0xff}) {
      std::string damaged = whole;
      damaged[place] = static_cast<char>(damaged[place] ^ damage);
      const ElfSection section = find_elf_section(damaged, ".regulon");
      refused += section.problem.empty() ? 0 : 1;
      EXPECT_FALSE(section.content.has_value() && !section.problem.empty());
      EXPECT_LE(section.content.value_or("").size(), whole.size());
    }
  }
  EXPECT_GT(refused, 100U);
}

}  // namespace
}  // namespace regulon::core::testing
