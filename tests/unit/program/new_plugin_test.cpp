/// `new-plugin`: what it refuses and writes. That its folders build, are checked and train is tests/package.

#include <gtest/gtest.h>

#include "tests/unit/support/expect_words.h"
#include "tests/unit/support/program.h"

namespace regulon::tests {
namespace {

namespace fs = std::filesystem;

TEST(NewPlugin, IsTheTemplateUnderItsOwnName) {
  const ScratchFolder scratch;
  const Ended ended = run_program({"new-plugin", "loss", "group_lasso2", "--out", scratch / "mine"});
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  expect_words(ended.out, {"mine/group_lasso2.cpp", "check-plugin", "regulon_DIR="});
  expect_words(read_file(scratch / "mine/group_lasso2.cpp"), {"class GroupLasso2 final", "\"group_lasso2\""});
  expect_words(read_file(scratch / "mine/CMakeLists.txt"),
               {"regulon_add_plugin(group_lasso2 group_lasso2.cpp)"});
  expect_words(read_file(scratch / "mine/group_lasso2.toml"), {"plugin = \"group_lasso2\""});
}

TEST(NewPlugin, TakesNoNameThatWouldNotDo) {
  const ScratchFolder scratch;
  const auto refused = [&](const std::string& kind, const std::string& name,
                           const std::vector<std::string>& words) {
    const Ended ended = run_program({"new-plugin", kind, name, "--out", scratch / "refused"});
    EXPECT_EQ(ended.exit_code, 2) << name;
    expect_words(ended.err, words);
    EXPECT_FALSE(fs::exists(scratch / "refused"));
  };
  refused("loss", "l1", {"a plugin of that name already", "regulon plugins l1"});
  refused("loss", "../l9", {"cannot be called that", "'../l9'"});
  refused("loss", "GroupLasso", {"cannot be called that"});
  refused("loss", "9lives", {"a letter first"});
  refused("optimiser", "mine", {"optimiser", "loss"});
}

TEST(NewPlugin, TouchesNoFolderThatIsThere) {
  const ScratchFolder scratch;
  const Ended ended = run_program({"new-plugin", "cost", "mine", "--out", scratch.path().string()});
  EXPECT_EQ(ended.exit_code, 2);
  expect_words(ended.err, {"exists already", "--out"});
  EXPECT_TRUE(fs::is_empty(scratch.path()));
}

}  // namespace
}  // namespace regulon::tests
