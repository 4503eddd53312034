#include "core/io/mapped_file.h"

#include <gtest/gtest.h>
#include <regulon/error.h>
#include <sys/stat.h>

#include "tests/unit/support/expect_error.h"
#include "tests/unit/support/program.h"
#include "tests/unit/support/without_rights.h"

namespace regulon::core {
namespace {

using tests::expect_error;
using tests::ScratchFolder;
using tests::WithoutRights;
using tests::write_file;

std::string text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.data()), file.size()};
}

TEST(MappedFile, HoldsTheBytesOfTheFile) {
  const ScratchFolder folder;
  const std::string contents("a\0b\xff end", 8);
  write_file(folder / "file", contents);
  EXPECT_EQ(text_of(MappedFile(folder / "file")), contents);
}

TEST(MappedFile, KeepsTheBytesWhenPagesAreDropped) {
  const ScratchFolder folder;
  std::string contents(1 << 20, 'x');
  contents[700'000] = 'y';
  write_file(folder / "file", contents);
  const MappedFile file(folder / "file");
  EXPECT_EQ(text_of(file), contents);
  file.drop(0, file.size());
  file.drop(900'000, 1 << 30);  // beyond the end: cut to it
  file.drop(1 << 30, 5);
  file.will_need(0, file.size());
  EXPECT_EQ(text_of(file), contents);
}

TEST(MappedFile, RefusesWhatIsNoFileWithContents) {
  const ScratchFolder folder;
  write_file(folder / "empty", "");
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  const auto open = [&](const std::string& name) {
    return [&folder, name] { MappedFile file(folder / name); };
  };
  expect_error<InputError>(open("missing"), {"missing", "No such file or directory"});
  expect_error<InputError>(open("empty"), {"empty", "is empty", "0 bytes"});
  expect_error<InputError>(open(""), {"is a folder"});
  expect_error<InputError>(open("pipe"), {"pipe", "is not a plain file"});
}

TEST(MappedFile, RefusesAFileThatMayNotBeRead) {
  const ScratchFolder folder;
  write_file(folder / "secret", "x");
  ASSERT_EQ(chmod((folder / "secret").c_str(), 0), 0);
  const WithoutRights nobody;
  expect_error<InputError>([&] { MappedFile file(folder / "secret"); },
                           {"secret", "Permission denied", "chmod"});
}

}  // namespace
}  // namespace regulon::core
