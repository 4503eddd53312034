#include "core/io/atomic_file.h"

#include <gtest/gtest.h>
#include <regulon/error.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/unit/support/expect_error.h"
#include "tests/unit/support/program.h"
#include "tests/unit/support/without_rights.h"

namespace regulon::core {
namespace {

namespace fs = std::filesystem;
using tests::expect_error;
using tests::read_file;
using tests::ScratchFolder;
using tests::WithoutRights;
using tests::write_file;

std::size_t entries_in(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

/// A small file system in memory over `folder`, as long as this lives; mounted() is false without the right
/// to.
class SmallDisk {
 public:
  SmallDisk(const fs::path& folder, unsigned long flags, const char* options) : folder_(folder) {
    mounted_ = ::mount("tmpfs", folder.c_str(), "tmpfs", flags, options) == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount(folder_.c_str());
  }
  bool mounted() const { return mounted_; }

 private:
  fs::path folder_;
  bool mounted_ = false;
};

TEST(AtomicFile, ShowsNothingBeforeTheCommitAndAllAfterIt) {
  const ScratchFolder folder;
  AtomicFile file(folder / "a");
  file.write("one ");
  EXPECT_FALSE(fs::exists(folder / "a"));
  file.write("two");
  file.commit();
  EXPECT_EQ(read_file(folder / "a"), "one two");
  EXPECT_EQ(entries_in(folder.path()), 1u);
}

TEST(AtomicFile, ReplacesAnOlderFileWhole) {
  const ScratchFolder folder;
  write_file(folder / "a", "a much longer older text");
  write_atomically(folder / "a", "new");
  EXPECT_EQ(read_file(folder / "a"), "new");
}

TEST(AtomicFile, LeavesTheOlderFileWhenItIsNotCommitted) {
  const ScratchFolder folder;
  write_file(folder / "a", "old");
  { AtomicFile(folder / "a").write("half"); }
  EXPECT_EQ(read_file(folder / "a"), "old");
  EXPECT_EQ(entries_in(folder.path()), 1u);
}

TEST(AtomicFile, TakesThePlaceOfWhatAKilledProcessLeft) {
  const ScratchFolder folder;
  write_file(folder / "a.partial", "left behind, and longer than what comes");
  write_atomically(folder / "a", "new");
  EXPECT_EQ(read_file(folder / "a"), "new");
  EXPECT_EQ(entries_in(folder.path()), 1u);
}

TEST(AtomicFile, HasOneWriterAtATime) {
  const ScratchFolder folder;
  AtomicFile first(folder / "a");
  first.write("first");
  expect_error<RunError>([&] { AtomicFile second(folder / "a"); },
                         {"/a", "is being written by another process", "Wait"});
  first.commit();
  EXPECT_EQ(read_file(folder / "a"), "first");
}

TEST(AtomicFile, SaysWhyAPathCannotBeWritten) {
  const ScratchFolder folder;
  write_file(folder / "file", "x");
  fs::create_directory(folder / "folder");
  expect_error<RunError>([&] { write_atomically(folder / "missing/a", "x"); },
                         {"missing/a", "cannot be written", "No such file or directory", "Make the folder"});
  expect_error<RunError>([&] { write_atomically(folder / "file/a", "x"); }, {"file/a", "Not a directory"});
  expect_error<RunError>([&] { write_atomically(folder / "folder", "x"); },
                         {"folder", "cannot be put in place", "Is a directory"});
  EXPECT_EQ(entries_in(folder.path()), 2u);
}

TEST(AtomicFile, SaysThatRightsAreMissing) {
  const ScratchFolder folder;
  fs::create_directory(folder / "locked");
  ASSERT_EQ(chmod((folder / "locked").c_str(), 0500), 0);
  const WithoutRights nobody;
  expect_error<RunError>([&] { write_atomically(folder / "locked/a", "x"); },
                         {"locked/a", "Permission denied", "right to write"});
}

TEST(AtomicFile, SaysThatTheFileSystemIsReadOnly) {
  const ScratchFolder folder;
  const SmallDisk disk(folder.path(), MS_RDONLY, "");
  if (!disk.mounted()) GTEST_SKIP() << "a read-only file system can only be mounted by root";
  expect_error<RunError>([&] { write_atomically(folder / "a", "x"); },
                         {"/a", "Read-only file system", "mounted read-only"});
}

TEST(AtomicFile, LeavesNothingOnAFullDisk) {
  const ScratchFolder folder;
  const SmallDisk disk(folder.path(), 0, "size=256k");
  if (!disk.mounted()) GTEST_SKIP() << "a small disk can only be mounted by root; see the test of file sizes";
  write_atomically(folder / "a", "old");
  expect_error<RunError>([&] { write_atomically(folder / "a", std::string(1 << 20, 'x')); },
                         {"/a", "cannot be written", "No space left on device", "Free space"});
  EXPECT_EQ(read_file(folder / "a"), "old");
  EXPECT_EQ(entries_in(folder.path()), 1u);
}

TEST(AtomicFile, LeavesNothingWhereFilesMayNotGrow) {
  const ScratchFolder folder;
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small = {64 * 1024, before.rlim_max};
  const auto handler = signal(SIGXFSZ, SIG_IGN);  // its default action would end the process
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  expect_error<RunError>([&] { write_atomically(folder / "a", std::string(1 << 20, 'x')); },
                         {"/a", "cannot be written", "File too large", "ulimit"});
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, handler);
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(AtomicFolder, MakesTheFoldersAboveIt) {
  const ScratchFolder folder;
  AtomicFolder output(folder / "one/two/out");
  output.commit();
  EXPECT_TRUE(fs::is_directory(folder / "one/two/out"));
}

TEST(AtomicFolder, AppearsWhole) {
  const ScratchFolder folder;
  AtomicFolder output(folder / "out");
  EXPECT_EQ(output.path().string().rfind((folder / "out.partial-").string(), 0), 0u);
  write_file(output.path() / "inner/a", "A");
  write_file(output.path() / "b", "B");
  EXPECT_FALSE(fs::exists(folder / "out"));
  output.commit();
  EXPECT_EQ(read_file(folder / "out/inner/a"), "A");
  EXPECT_EQ(read_file(folder / "out/b"), "B");
  EXPECT_EQ(entries_in(folder.path()), 1u);
}

TEST(AtomicFolder, LeavesWhatTookTheNameMeanwhile) {
  const ScratchFolder folder;
  AtomicFolder output(folder.path() / "out/");  // a trailing slash names the same folder
  write_file(output.path() / "new", "new");
  write_file(folder / "out/theirs", "theirs");
  expect_error<RunError>([&] { output.commit(); }, {"out", "cannot be put in place", "File exists"});
  EXPECT_EQ(read_file(folder / "out/theirs"), "theirs");
  EXPECT_FALSE(fs::exists(folder / "out/new"));
}

TEST(AtomicFolder, TwoAtOnceDoNotMeetAndOthersFoldersStay) {
  const ScratchFolder folder;
  write_file(folder / "out.partial/precious", "precious");
  {
    AtomicFolder first(folder / "out");
    AtomicFolder second(folder / "out");
    EXPECT_NE(first.path(), second.path());
    EXPECT_TRUE(fs::is_empty(second.path()));
    write_file(first.path() / "a", "first");
    write_file(second.path() / "a", "second");
    first.commit();
    expect_error<RunError>([&] { second.commit(); }, {"cannot be put in place", "File exists"});
  }
  EXPECT_EQ(read_file(folder / "out/a"), "first");
  EXPECT_EQ(read_file(folder / "out.partial/precious"), "precious");
  EXPECT_EQ(entries_in(folder.path()), 2u);
}

TEST(AtomicFolder, SaysWhyItCannotBeMade) {
  const ScratchFolder folder;
  write_file(folder / "file", "x");
  expect_error<RunError>([&] { AtomicFolder output(folder / "file/inner/out"); },
                         {"file/inner", "cannot be made", "Not a directory"});
  expect_error<InputError>([&] { AtomicFolder output(""); }, {"--out", "is empty"});
  fs::create_symlink("nowhere", folder / "dangling");
  expect_error<InputError>([&] { AtomicFolder output(folder / "dangling"); }, {"dangling", "exists already"});
  fs::remove(folder / "dangling");
  expect_error<InputError>([&] { AtomicFolder output(folder / "file"); },
                           {"file", "exists already", "not taken yet", "Choose another name"});
  EXPECT_EQ(read_file(folder / "file"), "x");
  EXPECT_EQ(entries_in(folder.path()), 1u);
}

TEST(MakeFolders, MakesWhatIsMissingAndSaysWhatIsInTheWay) {
  const ScratchFolder folder;
  make_folders(folder / "a/b/c");
  make_folders(folder / "a/b");
  EXPECT_TRUE(fs::is_directory(folder / "a/b/c"));
  write_file(folder / "file", "x");
  expect_error<RunError>([&] { make_folders(folder / "file/inner"); },
                         {"file/inner", "cannot be made", "Not a directory"});
}

}  // namespace
}  // namespace regulon::core
