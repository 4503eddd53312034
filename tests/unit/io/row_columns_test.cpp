#include "core/io/row_columns.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <regulon/error.h>

#include "core/io/safetensors.h"
#include "tests/unit/support/expect_error.h"
#include "tests/unit/support/program.h"

namespace regulon::core {
namespace {

namespace fs = std::filesystem;

std::int64_t entries_of(const fs::path& folder) {
  return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
}

TEST(RowColumns, TwoWritersOfOneFileDoNotMeet) {
  const tests::ScratchFolder folder;
  const fs::path path = folder / "table";
  RowColumnsWriter first(path, {"a", "b"});
  RowColumnsWriter second(path, {"a", "b"});
  for (std::int64_t from = 0; from < 6000; from += 2000) {
    const at::Tensor rows = at::arange(from, from + 2000);
    first.add({rows, rows + 0.5});
    second.add({-rows, rows * 2});
  }
  EXPECT_EQ(entries_of(folder.path()), 0) << "what is kept on disk has no name";
  const at::Tensor rows = at::arange(6000, at::kDouble);
  second.commit({{"more", at::ones({2})}}, {{"unit", "3"}});
  {
    const SafetensorsFile file(path);
    EXPECT_TRUE(at::equal(file.tensor("a"), -rows));
    EXPECT_TRUE(at::equal(file.tensor("b"), rows * 2));
    EXPECT_EQ(file.tensor("more").size(0), 2);
    EXPECT_EQ(file.metadata().at("unit"), "3");
  }
  first.commit();
  EXPECT_TRUE(at::equal(SafetensorsFile(path).tensor("b"), rows + 0.5));
  EXPECT_EQ(entries_of(folder.path()), 1);
}

TEST(RowColumns, LeaveOthersFilesAlone) {
  const tests::ScratchFolder folder;
  tests::write_file(folder / "table.0.partial", "mine");
  {
    RowColumnsWriter writer(folder / "table", {"loss"});
    writer.add({at::ones({3})});
  }
  EXPECT_EQ(tests::read_file(folder / "table.0.partial"), "mine");
  EXPECT_EQ(entries_of(folder.path()), 1) << "without a commit nothing is left";
}

TEST(RowColumns, MakeNothingBeforeRowsCome) {
  const tests::ScratchFolder folder;
  RowColumnsWriter writer(folder / "made" / "table", {"loss"});
  EXPECT_EQ(entries_of(folder.path()), 0);
  writer.commit();
  EXPECT_EQ(SafetensorsFile(folder / "made" / "table").tensor("loss").size(0), 0);
}

TEST(RowColumns, AreOfOneLength) {
  const tests::ScratchFolder folder;
  RowColumnsWriter writer(folder / "table", {"a", "b"});
  writer.add({at::ones({3}), at::ones({2})});
  tests::expect_error<RunError>([&] { writer.commit(); }, {"table", "3 numbers, 24 bytes", "16 bytes"});
  EXPECT_EQ(entries_of(folder.path()), 0);
}

TEST(RowColumns, TellWhatCannotBeWritten) {
  const tests::ScratchFolder folder;
  tests::write_file(folder / "file", "");
  RowColumnsWriter writer(folder / "file" / "table", {"a"});
  tests::expect_error<RunError>([&] { writer.add({at::ones({3})}); }, {"file", "cannot be made"});
}

}  // namespace
}  // namespace regulon::core
