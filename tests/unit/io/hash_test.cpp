#include "core/io/hash.h"

#include <gtest/gtest.h>
#include <regulon/error.h>

#include "tests/unit/support/program.h"

namespace regulon::core {
namespace {

using tests::ScratchFolder;
using tests::write_file;

// Printed by `xxh128sum` (xxHash 0.8) for an empty file and for the three bytes "abc".
constexpr char kHashOfNothing[] = "99aa06d3014798d86001c324468d497f";
constexpr char kHashOfAbc[] = "06b05ab6733a618578af5f94892f3950";

TEST(Hash, AgreesWithTheReferenceTool) {
  EXPECT_EQ(hash_text(""), kHashOfNothing);
  EXPECT_EQ(hash_text("abc"), kHashOfAbc);
}

TEST(Hash, DoesNotDependOnThePieces) {
  Hasher hasher;
  hasher.update("a");
  hasher.update("");
  hasher.update("bc");
  EXPECT_EQ(hasher.hex(), kHashOfAbc);
}

TEST(Hash, NumbersAreEightBytesLowestFirst) {
  Hasher hasher;
  hasher.update(std::uint64_t{0x0807060504030201});
  EXPECT_EQ(hasher.hex(), hash_text("\x01\x02\x03\x04\x05\x06\x07\x08"));
}

TEST(Hash, OfAFileIsThatOfItsContents) {
  const ScratchFolder folder;
  const std::string large(9'000'001, 'q');
  write_file(folder / "abc", "abc");
  write_file(folder / "empty", "");
  write_file(folder / "large", large);
  EXPECT_EQ(hash_file(folder / "abc"), kHashOfAbc);
  EXPECT_EQ(hash_file(folder / "empty"), kHashOfNothing);
  EXPECT_EQ(hash_file(folder / "large"), hash_text(large));
  EXPECT_THROW(hash_file(folder / "missing"), InputError);
}

}  // namespace
}  // namespace regulon::core
